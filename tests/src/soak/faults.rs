//! What goes wrong in a soak: each fault lasts for a while, and is undone.

use std::collections::HashSet;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::proxy::Proxy;
use crate::server::{RedisServer, free_port};
use crate::simulation::random::Random;

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// Redis is killed, and started again, empty.
    Killed,
    /// Redis stands still for longer than a call waits for it, and not for as long as the bound.
    Stopped,
    /// Redis stands still for longer than the bound.
    StoppedLong,
    /// The network delays what it carries for some nodes.
    Slow,
    /// The network cuts the connections of some nodes, again and again.
    Cut,
    /// The network swallows what Redis says to one node, for up to longer than the bound.
    SwallowedForOne,
    /// The network swallows what Redis says to anybody.
    SwallowedForAll,
    /// Redis can't be reached by one node, and refuses its connections.
    Refused,
    /// Redis closes connections, one or all of them, again and again.
    ClientKill,
    /// Redis carries out no command that writes.
    PausedWrites,
    /// Redis carries out no command.
    PausedAll,
    /// Redis is full, and refuses to store.
    Full,
    /// Redis is full, and evicts what is there.
    Evicting,
    /// Redis is a replica that can't be written to, of a primary that is not there.
    ReadOnly,
    /// Redis forgets its scripts, again and again.
    ScriptFlush,
    /// Redis forgets everything, again and again.
    FlushAll,
    /// Somebody writes garbage over entries, leases and stamps.
    Garbage,
    /// One node's process stands still for longer than the bound.
    NodeStopped,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Killed,
        Self::Stopped,
        Self::StoppedLong,
        Self::Slow,
        Self::Cut,
        Self::SwallowedForOne,
        Self::SwallowedForAll,
        Self::Refused,
        Self::ClientKill,
        Self::PausedWrites,
        Self::PausedAll,
        Self::Full,
        Self::Evicting,
        Self::ReadOnly,
        Self::ScriptFlush,
        Self::FlushAll,
        Self::Garbage,
        Self::NodeStopped,
    ];

    /// Whether a node can't reach Redis that may hold a lease, while the others can: they wait for it
    /// until the lease has run out.
    pub(super) fn hides_a_node(self) -> bool {
        matches!(
            self,
            Self::Refused | Self::SwallowedForOne | Self::NodeStopped
        )
    }

    /// What it is called in tables.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Killed => "SIGKILL, started again empty",
            Self::Stopped => "SIGSTOP, shorter than B",
            Self::StoppedLong => "SIGSTOP, longer than B",
            Self::Slow => "network slow for some nodes",
            Self::Cut => "network cuts some nodes off and on",
            Self::SwallowedForOne => "network swallows answers to one node",
            Self::SwallowedForAll => "network swallows answers to all",
            Self::Refused => "connections of one node refused",
            Self::ClientKill => "CLIENT KILL",
            Self::PausedWrites => "CLIENT PAUSE WRITE",
            Self::PausedAll => "CLIENT PAUSE ALL",
            Self::Full => "maxmemory, noeviction",
            Self::Evicting => "maxmemory, allkeys-lru",
            Self::ReadOnly => "REPLICAOF, read-only",
            Self::ScriptFlush => "SCRIPT FLUSH",
            Self::FlushAll => "FLUSHALL",
            Self::Garbage => "garbage over entries, leases, stamps",
            Self::NodeStopped => "SIGSTOP of one node",
        }
    }
}

/// What faults are done to.
pub(super) struct Stage {
    pub(super) server: RedisServer,
    /// One for each node.
    pub(super) proxies: Vec<Proxy>,
    /// The ids of the nodes' processes.
    pub(super) nodes: Vec<u32>,
    pub(super) random: Random,
    /// How long a call waits for the store.
    pub(super) store_timeout: Duration,
    /// B.
    pub(super) bound: Duration,
    /// Where garbage was written.
    pub(super) littered: HashSet<String>,
}

impl Stage {
    /// Does it for about so long, and undoes it.
    ///
    /// # Panics
    ///
    /// When it can't be done.
    pub(super) fn play(&mut self, fault: Fault, usual: Duration) {
        let lasts = match fault {
            Fault::Stopped => {
                let longest = self.bound.mul_f64(0.8).max(self.store_timeout * 2);
                self.random
                    .micros(micros(self.store_timeout)..micros(longest))
            }
            Fault::StoppedLong | Fault::NodeStopped => {
                let bound = micros(self.bound);
                self.random.micros(bound * 11 / 10..bound * 17 / 10)
            }
            Fault::SwallowedForOne | Fault::SwallowedForAll => {
                let bound = micros(self.bound);
                self.random.micros(bound * 3 / 10..bound * 15 / 10)
            }
            _ => usual,
        };
        match fault {
            Fault::Killed => {
                self.server.kill();
                thread::sleep(lasts);
                self.server.restart();
            }
            Fault::Stopped | Fault::StoppedLong => {
                self.server.pause();
                thread::sleep(lasts);
                self.server.resume();
            }
            Fault::Slow => self.with_proxies(lasts, Proxy::slow),
            Fault::SwallowedForOne => {
                // More often than not the last one, which is quiet.
                let any = self.random.index(self.proxies.len());
                let last = self.proxies.len() - 1;
                let one = if self.random.chance(500) { last } else { any };
                self.proxies[one].black_hole(true);
                thread::sleep(lasts);
                self.proxies[one].black_hole(false);
            }
            Fault::SwallowedForAll => {
                self.proxies.iter().for_each(|proxy| proxy.black_hole(true));
                thread::sleep(lasts);
                self.proxies
                    .iter()
                    .for_each(|proxy| proxy.black_hole(false));
            }
            Fault::Refused => {
                let one = self.random.index(self.proxies.len());
                self.proxies[one].switch(free_port());
                self.proxies[one].cut();
                thread::sleep(lasts);
                self.proxies[one].switch(self.server.port());
            }
            Fault::Cut => self.again_and_again(lasts, 20..200, |stage| {
                let one = stage.random.index(stage.proxies.len());
                stage.proxies[one].cut();
            }),
            Fault::ClientKill => self.again_and_again(lasts, 20..300, Self::kill_clients),
            Fault::PausedWrites => self.pause(lasts, "WRITE"),
            Fault::PausedAll => self.pause(lasts, "ALL"),
            Fault::Full => {
                self.configure("maxmemory-policy", "noeviction");
                self.configure("maxmemory", "1");
                thread::sleep(lasts);
                self.configure("maxmemory", "0");
            }
            Fault::Evicting => {
                self.configure("maxmemory-policy", "allkeys-lru");
                self.again_and_again(lasts, 10..60, Self::press);
                self.configure("maxmemory", "0");
                self.configure("maxmemory-policy", "noeviction");
            }
            Fault::ReadOnly => {
                let nobody = free_port().to_string();
                self.ok(&["REPLICAOF", "127.0.0.1", &nobody]);
                thread::sleep(lasts);
                self.ok(&["REPLICAOF", "NO", "ONE"]);
            }
            Fault::ScriptFlush => self.again_and_again(lasts, 2..40, |stage| {
                stage.ok(&["SCRIPT", "FLUSH"]);
            }),
            Fault::FlushAll => self.again_and_again(lasts, 20..200, |stage| {
                stage.ok(&["FLUSHALL"]);
            }),
            Fault::Garbage => self.again_and_again(lasts, 2..10, Self::litter),
            Fault::NodeStopped => {
                let one = self.random.index(self.nodes.len());
                signal(self.nodes[one], "-STOP");
                thread::sleep(lasts);
                signal(self.nodes[one], "-CONT");
            }
        }
    }

    /// The leases that are held, and by whom, but for those that may be garbage.
    pub(super) fn leases(&self) -> HashSet<(String, String)> {
        let keys: Vec<String> = self.server.command(&["KEYS", "soak:l:*"]);
        let ours = keys.into_iter().filter(|key| !self.littered.contains(key));
        ours.filter_map(|key| {
            let token: Option<String> = self.server.command(&["GET", &key]);
            Some((key, token?))
        })
        .collect()
    }

    fn ok(&self, words: &[&str]) {
        let answer: String = self.server.command(words);
        assert_eq!(answer, "OK", "{words:?}");
    }

    fn configure(&self, name: &str, value: &str) {
        self.ok(&["CONFIG", "SET", name, value]);
    }

    fn again_and_again(
        &mut self,
        lasts: Duration,
        pauses: std::ops::Range<u64>,
        mut act: impl FnMut(&mut Self),
    ) {
        let began = Instant::now();
        loop {
            act(self);
            thread::sleep(self.random.millis(pauses.clone()));
            if began.elapsed() >= lasts {
                return;
            }
        }
    }

    /// Some of the proxies, at least one.
    fn with_proxies(&mut self, lasts: Duration, switch: impl Fn(&Proxy, bool)) {
        let one = self.random.index(self.proxies.len());
        for number in 0..self.proxies.len() {
            if number == one || self.random.chance(400) {
                switch(&self.proxies[number], true);
            }
        }
        thread::sleep(lasts);
        self.proxies.iter().for_each(|proxy| switch(proxy, false));
    }

    fn pause(&self, lasts: Duration, what: &str) {
        let millis = lasts.as_millis().to_string();
        self.ok(&["CLIENT", "PAUSE", &millis, what]);
        thread::sleep(lasts);
    }

    fn kill_clients(&mut self) {
        if self.random.chance(500) {
            let all = ["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"];
            self.server.command::<u64>(&all);
            return;
        }
        let clients: String = self.server.command(&["CLIENT", "LIST"]);
        let ids: Vec<&str> = clients
            .lines()
            .filter_map(|line| line.split(' ').next()?.strip_prefix("id="))
            .collect();
        if !ids.is_empty() {
            let one = ids[self.random.index(ids.len())];
            // It may be the one that asked, or gone.
            self.server
                .command::<u64>(&["CLIENT", "KILL", "ID", one, "SKIPME", "yes"]);
        }
    }

    /// Leaves less memory than is used.
    fn press(&mut self) {
        let memory: String = self.server.command(&["INFO", "memory"]);
        let used = memory.lines().find_map(|line| {
            line.strip_prefix("used_memory:")?
                .trim()
                .parse::<u64>()
                .ok()
        });
        let used = used.expect("Redis says what it uses");
        let less = self.random.below(1_000..200_000);
        self.configure("maxmemory", &used.saturating_sub(less).max(1).to_string());
    }

    /// Writes something over one key that is nothing of ours.
    fn litter(&mut self) {
        let keys: Vec<String> = self.server.command(&["KEYS", "soak:*"]);
        if keys.is_empty() {
            return;
        }
        let mut key = keys[self.random.index(keys.len())].clone();
        if self.random.chance(300) {
            key = key.replacen("soak:e:", "soak:l:", 1);
        }
        let mut connection = self.server.connect().expect("it answers");
        // It may be of another type by now: then that was us.
        let now = redis::cmd("GETRANGE").arg(&[&*key, "0", "-1"]).to_owned();
        let mut now: Vec<u8> = now.query(&mut connection).unwrap_or_default();
        let noise = self.random.draw();
        let garbage: Vec<u8> = match noise % 6 {
            0 => Vec::new(),
            // What a stamp or a lease may be, and was never made.
            1 => format!("{noise:016x}").into_bytes(),
            2 => format!("{noise:032x}").into_bytes(),
            3 => {
                now.truncate(self.random.index(now.len().max(1)));
                now
            }
            4 => {
                let place = self.random.index(now.len().max(1));
                if let Some(byte) = now.get_mut(place) {
                    *byte ^= 1 << (noise >> 8 & 7);
                }
                now
            }
            _ => {
                let length = self.random.index(4_096);
                (0..length)
                    .map(|_| self.random.draw().to_le_bytes()[0])
                    .collect()
            }
        };
        let mut pipe = redis::pipe();
        // What looks like a lease is one, for as long as it lasts.
        let turn = if noise % 6 == 2 {
            2
        } else {
            self.random.below(0..4)
        };
        match turn {
            0 => pipe.del(&key).ignore().lpush(&key, garbage).ignore(),
            1 => pipe.set(&key, garbage).ignore(),
            2 => pipe.pset_ex(&key, garbage, 1_500).ignore(),
            _ => pipe
                .cmd("SET")
                .arg(&key)
                .arg(garbage)
                .arg("KEEPTTL")
                .ignore(),
        };
        pipe.query::<()>(&mut connection).expect("it is written");
        self.littered.insert(key);
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Sends a signal to a process of ours.
fn signal(id: u32, signal: &str) {
    let status = Command::new("kill")
        .args([signal, &id.to_string()])
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "kill {signal} {id}"
    );
}
