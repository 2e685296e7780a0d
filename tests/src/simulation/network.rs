//! FIFO connections to the one server: what is sent arrives in order, late, or never. Pushes and
//! answers of a connection share one stream.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::executor::Executor;
use super::floors::{Position, Word};
use super::functions::load_of;
use super::history::History;
use super::keys::{concerned_by, ended_by};
use super::server::{Answer, Command, Conn, Effects, Push, Server};

/// What arrives at a client.
#[derive(Clone, Debug)]
pub(super) enum Message {
    /// The connection is there, and tracks if that was asked for.
    Hello,
    /// Something has changed.
    Push(Push),
    /// The answer to one command of a request.
    Answer(u64, Answer),
}

/// A client's end of its connections.
pub(super) trait Client: Send + Sync {
    /// The next message of a connection's stream.
    fn receive(self: Arc<Self>, conn: Conn, message: Message);
    /// The connection is found to be broken.
    fn broken(self: Arc<Self>, conn: Conn);
}

// Each is a thing that a connection is or is not, whatever the others are.
#[allow(clippy::struct_excessive_bools)]
struct Link {
    node: usize,
    client: Weak<dyn Client>,
    tracks: bool,
    /// Whether the server still has it.
    open: bool,
    /// Nothing that is sent by the server arrives any more.
    cut: bool,
    /// Nothing arrives on either side before this.
    hangs_until: Duration,
    arrives_up: Duration,
    arrives_down: Duration,
    inbox: VecDeque<(u64, Command)>,
    /// What it was to be told about when the server lost it.
    lost: BTreeSet<String>,
    busy: bool,
    /// What is on its way to the client.
    stream: VecDeque<Message>,
    sent: u64,
    delivered: u64,
    /// The same of answers alone.
    answered: u64,
    heard: u64,
}

impl Link {
    /// How this connection tells that a name is void: which it is by now. `answering`: it is so by a command
    /// of this connection, whose answer comes first.
    fn word(&self, name: &str, answering: bool) -> Word {
        let tells = |message: &Message| match message {
            Message::Push(Push::Null) => true,
            Message::Push(Push::Changed(changed)) => changed == name,
            Message::Hello | Message::Answer(..) => false,
        };
        if let Some(at) = self.stream.iter().position(tells) {
            // One that was sent before says it as well.
            return if self.cut {
                Word::Lost
            } else {
                Word::Push(self.delivered + at as u64 + 1)
            };
        }
        let reads = |(_, command): &(u64, Command)| command.reads(name);
        match self.inbox.iter().position(reads) {
            Some(at) if self.open => {
                // It comes in pieces, and is acted upon when all of it is there.
                let request = self.inbox[at].0;
                let rest = self.inbox.iter().skip(at);
                let pieces = rest.take_while(|(number, _)| *number == request).count();
                Word::Answer(self.answered + u64::from(answering) + (at + pieces) as u64)
            }
            Some(_) => Word::Lost,
            None if self.lost.iter().any(|lost| name == "*" || lost == name) => Word::Lost,
            None => Word::Nothing,
        }
    }
}

struct State {
    server: Server,
    up: bool,
    healed: bool,
    links: Vec<Link>,
}

/// How slow the network is, in microseconds: as a rule, and one time in so many of a thousand.
#[derive(Clone, Debug)]
pub(super) struct Slowness {
    /// As a rule up to this.
    pub(super) usual: u64,
    /// How often it is slower.
    pub(super) often: u64,
    /// And then up to this.
    pub(super) worst: u64,
    /// How often, of a thousand, another client's commands come in between two of one request, and
    /// for how long at most.
    pub(super) gaps: (u64, u64),
}

/// The network with its server. Its methods never call a client while its state is locked.
pub(super) struct Network {
    executor: Arc<Executor>,
    history: Arc<History>,
    slowness: Slowness,
    /// Whether scripts are forgotten in the middle of requests too.
    forgetful: bool,
    state: Mutex<State>,
    me: Weak<Network>,
}

impl Network {
    /// A network whose server is up and empty.
    pub(super) fn new(
        executor: &Arc<Executor>,
        history: &Arc<History>,
        slowness: Slowness,
        forgetful: bool,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            executor: Arc::clone(executor),
            history: Arc::clone(history),
            slowness,
            forgetful,
            state: Mutex::new(State {
                server: Server::default(),
                up: true,
                healed: false,
                links: Vec::new(),
            }),
            me: me.clone(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn delay(&self) -> Duration {
        let Slowness {
            usual,
            often,
            worst,
            ..
        } = self.slowness;
        let often = if self.lock().healed { 0 } else { often };
        self.executor.random(|random| {
            let most = if random.chance(often) { worst } else { usual };
            random.micros(20..most.max(21))
        })
    }

    fn after(&self, delay: Duration, run: impl FnOnce(&Self) + Send + 'static) {
        let me = self.me.clone();
        self.executor.after(delay, move || {
            if let Some(network) = me.upgrade() {
                run(&network);
            }
        });
    }

    /// Opens a connection. Its first message is a hello, unless it turns out to be broken.
    pub(super) fn connect(&self, node: usize, tracks: bool, client: Weak<dyn Client>) -> Conn {
        let conn = {
            let mut state = self.lock();
            state.links.push(Link {
                node,
                client,
                tracks,
                open: false,
                cut: false,
                hangs_until: Duration::ZERO,
                arrives_up: Duration::ZERO,
                arrives_down: Duration::ZERO,
                inbox: VecDeque::new(),
                lost: BTreeSet::new(),
                busy: false,
                stream: VecDeque::new(),
                sent: 0,
                delivered: 0,
                answered: 0,
                heard: 0,
            });
            state.links.len() - 1
        };
        let delay = self.delay();
        self.after(delay, move |network| network.accept(conn));
        conn
    }

    fn accept(&self, conn: Conn) {
        let refused = {
            let mut state = self.lock();
            let State {
                server, up, links, ..
            } = &mut *state;
            if *up && !links[conn].cut {
                links[conn].open = true;
                if links[conn].tracks {
                    server.track(conn);
                }
            }
            !*up
        };
        if refused {
            let delay = self.delay();
            self.after(delay, move |network| network.notice(conn));
        } else {
            self.stream(conn, Message::Hello);
        }
    }

    /// Sends the commands of a request, which travel together.
    pub(super) fn send(&self, conn: Conn, request: u64, commands: Vec<Command>) {
        let delay = self.delay();
        let now = self.executor.now();
        let at = {
            let mut state = self.lock();
            let link = &mut state.links[conn];
            link.arrives_up = link.arrives_up.max(now + delay).max(link.hangs_until);
            link.arrives_up
        };
        self.after(at.saturating_sub(now), move |network| {
            {
                let mut state = network.lock();
                let link = &mut state.links[conn];
                if !link.open {
                    return;
                }
                let commands = commands.into_iter().map(|command| (request, command));
                link.inbox.extend(commands);
                if std::mem::replace(&mut link.busy, true) {
                    return;
                }
            }
            network.serve(conn);
        });
    }

    /// Carries out the next command of a connection. Those of one request are not one step: another
    /// client's may come in between.
    fn serve(&self, conn: Conn) {
        let now = self.executor.now();
        if self.forgetful && self.executor.random(|random| random.chance(60)) {
            self.forget_scripts();
        }
        let (node, request, answer, effects, name) = {
            let mut state = self.lock();
            let State { server, links, .. } = &mut *state;
            let link = &mut links[conn];
            let next = link.inbox.pop_front().filter(|_| link.open);
            let Some((request, command)) = next else {
                link.busy = false;
                return;
            };
            let name = self.history.records().then(|| format!("{command:?}"));
            let (answer, effects) = server.run(conn, command, now);
            (links[conn].node, request, answer, effects, name)
        };
        self.history.log(|| {
            let name = name.unwrap_or_default();
            format!("server: {conn} {name} -> {answer:?}")
        });
        self.take_effect(effects, Some((node, conn)));
        self.stream(conn, Message::Answer(request, answer));
        let (often, most) = self.slowness.gaps;
        let pause = self.executor.random(|random| {
            if random.chance(often) {
                random.micros(1..most)
            } else {
                Duration::ZERO
            }
        });
        if pause.is_zero() {
            self.serve(conn);
        } else {
            self.after(pause, move |network| network.serve(conn));
        }
    }

    /// `by`: the node whose command it was, and the connection, over which its answer is still to be sent.
    fn take_effect(&self, effects: Effects, by: Option<(usize, Conn)>) {
        for (bytes, stamped) in &effects.filled {
            if let Some(load) = load_of(&bytes.0) {
                self.history.filled(load, *stamped);
            }
        }
        for (conn, push) in effects.pushes {
            self.stream(conn, Message::Push(push));
        }
        for name in effects.void {
            let positions: Vec<Position> = {
                let state = self.lock();
                let links = state.links.iter().enumerate();
                links
                    .filter(|(_, link)| link.tracks)
                    .map(|(conn, link)| Position {
                        conn,
                        message: link.sent,
                        word: link.word(&name, by.is_some_and(|(_, by)| by == conn)),
                    })
                    .collect()
            };
            let updated = by.map(|(node, _)| node).zip(effects.updated.as_deref());
            self.history.void(&name, &positions, updated);
        }
    }

    /// Puts a message into a connection's stream.
    fn stream(&self, conn: Conn, message: Message) {
        let delay = self.delay();
        let now = self.executor.now();
        let at = {
            let mut state = self.lock();
            let link = &mut state.links[conn];
            if !link.open {
                return;
            }
            link.sent += 1;
            link.answered += u64::from(matches!(message, Message::Answer(..)));
            link.stream.push_back(message);
            link.arrives_down = link.arrives_down.max(now + delay).max(link.hangs_until);
            link.arrives_down
        };
        self.after(at.saturating_sub(now), move |network| {
            network.deliver(conn);
        });
    }

    /// Delivers whatever is first in a stream: its order stays, however late.
    fn deliver(&self, conn: Conn) {
        let now = self.executor.now();
        let (client, node, message) = {
            let mut state = self.lock();
            let link = &mut state.links[conn];
            if link.cut {
                return;
            }
            if link.hangs_until > now {
                // It began to hang while this was on its way.
                let wait = link.hangs_until.saturating_sub(now);
                drop(state);
                self.after(wait, move |network| network.deliver(conn));
                return;
            }
            let Some(message) = link.stream.pop_front() else {
                return;
            };
            link.delivered += 1;
            link.heard += u64::from(matches!(message, Message::Answer(..)));
            (link.client.upgrade(), link.node, message)
        };
        if let Some(client) = client {
            self.history
                .log(|| format!("node {node}: receives over {conn}: {message:?}"));
            match &message {
                Message::Push(Push::Changed(name)) => self.history.stir(&concerned_by(name)),
                Message::Push(Push::Null) => self.history.stir(&ended_by("*")),
                Message::Hello | Message::Answer(..) => {}
            }
            client.receive(conn, message);
        }
        let (delivered, heard) = {
            let link = &self.lock().links[conn];
            (link.delivered, link.heard)
        };
        self.history.reached(node, conn, delivered, heard);
    }

    /// The client gives a connection up.
    pub(super) fn close(&self, conn: Conn) {
        self.lock().links[conn].cut = true;
        let delay = self.delay();
        // What it has sent may still arrive.
        self.after(delay, move |network| network.hang_up(conn));
    }

    fn hang_up(&self, conn: Conn) {
        let node = {
            let mut state = self.lock();
            let State { server, links, .. } = &mut *state;
            let link = &mut links[conn];
            if !std::mem::replace(&mut link.open, false) {
                return;
            }
            link.lost = server.hang_up(conn);
            link.node
        };
        self.history.loses(node, conn);
    }

    /// The client learns that a connection is broken.
    fn notice(&self, conn: Conn) {
        let client = {
            let mut state = self.lock();
            let link = &mut state.links[conn];
            link.cut = true;
            link.client.upgrade()
        };
        if let Some(client) = client {
            client.broken(conn);
        }
    }

    /// Breaks a connection. What the server had sent may arrive before that is noticed, or be lost;
    /// it may take a heartbeat to notice.
    pub(super) fn break_connection(&self, conn: Conn) {
        self.history
            .log(|| format!("fault: connection {conn} breaks"));
        self.hang_up(conn);
        let (lost, noticed) = self.executor.random(|random| {
            let noticed = random.chance(700).then(|| random.millis(0..400));
            (random.chance(500), noticed)
        });
        if lost {
            self.lock().links[conn].cut = true;
        }
        if let Some(delay) = noticed {
            // After what is still on its way.
            let now = self.executor.now();
            let arrives = self.lock().links[conn].arrives_down.saturating_sub(now);
            let delay = if lost { delay } else { delay.max(arrives) };
            self.after(delay + Duration::from_nanos(1), move |network| {
                network.notice(conn);
            });
        }
    }

    /// The connections that the server has.
    pub(super) fn open(&self) -> Vec<Conn> {
        let state = self.lock();
        let open = state.links.iter().enumerate().filter(|(_, link)| link.open);
        open.map(|(conn, _)| conn).collect()
    }

    /// Nothing gets through on a connection for so long.
    pub(super) fn hang(&self, conn: Conn, how_long: Duration) {
        let until = self.executor.now() + how_long;
        self.history
            .log(|| format!("fault: connection {conn} hangs until {until:?}"));
        self.lock().links[conn].hangs_until = until;
    }

    /// The server ends, and all of its data with it; it is back after a while.
    pub(super) fn restart(&self, back_after: Duration) {
        self.history
            .log(|| format!("fault: the server restarts empty within {back_after:?}"));
        self.lock().up = false;
        for conn in self.open() {
            self.break_connection(conn);
        }
        self.lock().server.lose_everything();
        let effects = Effects {
            void: vec!["*".to_owned()],
            ..Effects::default()
        };
        self.take_effect(effects, None);
        self.after(back_after, |network| network.lock().up = true);
    }

    /// FLUSHALL.
    pub(super) fn flush(&self) {
        self.history.log(|| "fault: FLUSHALL".to_owned());
        let effects = self.lock().server.flush();
        self.take_effect(effects, None);
    }

    /// Evicts one name.
    pub(super) fn evict(&self) {
        let pick = {
            let len = self.lock().server.len();
            if len == 0 {
                return;
            }
            self.executor.random(|random| random.index(len))
        };
        let (name, effects) = self.lock().server.evict(pick);
        self.history.log(|| format!("fault: {name:?} is evicted"));
        self.take_effect(effects, None);
    }

    /// SCRIPT FLUSH.
    pub(super) fn forget_scripts(&self) {
        self.history.log(|| "fault: SCRIPT FLUSH".to_owned());
        self.lock().server.forget_scripts();
    }

    /// The server takes no writes, or takes them again.
    pub(super) fn read_only(&self, read_only: bool) {
        self.history
            .log(|| format!("fault: read-only: {read_only}"));
        self.lock().server.read_only = read_only;
    }

    /// Removes what has expired.
    pub(super) fn sweep(&self) {
        let now = self.executor.now();
        let effects = self.lock().server.sweep(now);
        self.take_effect(effects, None);
    }

    /// Whatever is wrong ends.
    pub(super) fn heal(&self) {
        self.history.log(|| "faults end".to_owned());
        let now = self.executor.now();
        let mut state = self.lock();
        state.healed = true;
        state.server.read_only = false;
        for link in &mut state.links {
            link.hangs_until = link.hangs_until.min(now);
        }
    }
}
