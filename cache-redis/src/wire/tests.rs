use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;

/// Room for a conversation in which nobody has to wait.
const WIDE: usize = 1 << 20;

fn ping() -> Packed {
    let mut packed = Packed::default();
    packed.command("PING", 0);
    packed
}

/// A command with an argument of this size.
fn echo(size: usize) -> Packed {
    let mut packed = Packed::default();
    packed.command("ECHO", 1).argument(&[&"x".repeat(size)]);
    packed
}

type Answer<'a> = Pin<Box<dyn Future<Output = RedisResult<Vec<Value>>> + 'a>>;

/// Asks, as a caller that waits from here on.
fn asked<'a>(wire: &'a Wire, what: &'a Packed) -> Answer<'a> {
    let mut answer: Answer<'a> = Box::pin(wire.ask(what.clone()));
    assert!(poll(&mut answer).is_pending());
    answer
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// What has arrived at the server so far, at one time.
fn arrived(server: &mut DuplexStream) -> String {
    let mut bytes = Vec::with_capacity(WIDE);
    match pin!(server.read_buf(&mut bytes)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(read) => {
            read.unwrap();
            String::from_utf8(bytes).unwrap()
        }
        Poll::Pending => String::new(),
    }
}

async fn says(server: &mut DuplexStream, bytes: &[u8]) {
    server.write_all(bytes).await.unwrap();
}

#[track_caller]
fn ready(answer: &mut Answer<'_>) -> RedisResult<Value> {
    match poll(answer) {
        Poll::Ready(values) => values.map(|mut values| values.pop().unwrap()),
        Poll::Pending => panic!("it still waits"),
    }
}

#[tokio::test]
async fn who_asks_while_nothing_is_under_way_is_sent_at_once_and_the_others_together() {
    let (client, mut server) = duplex(WIDE);
    let (wire, mut driver) = wire(client, None);
    assert!(poll(&mut driver).is_pending());
    let ping = ping();
    let mut answers = vec![asked(&wire, &ping)];
    // Without the driver.
    assert_eq!(arrived(&mut server).matches("PING").count(), 1);
    for _ in 0..4 {
        answers.push(asked(&wire, &ping));
    }
    assert_eq!(arrived(&mut server), "");
    // The first of them, once its executor has come round.
    assert!(poll(&mut answers[3]).is_pending());
    assert_eq!(arrived(&mut server), "");
    assert!(poll(&mut answers[1]).is_pending());
    assert_eq!(arrived(&mut server).matches("PING").count(), 4);
    assert!(answers.iter_mut().all(|answer| poll(answer).is_pending()));
    assert_eq!(arrived(&mut server), "");

    says(&mut server, b":0\r\n:1\r\n:2\r\n:3\r\n:4\r\n").await;
    assert!(poll(&mut driver).is_pending());
    for (number, answer) in (0..).zip(&mut answers) {
        assert_eq!(ready(answer).unwrap(), Value::Int(number));
    }
    drop(answers);
    // Nothing is under way any more.
    let _answer = asked(&wire, &ping);
    assert_eq!(arrived(&mut server).matches("PING").count(), 1);
}

#[tokio::test]
async fn who_waits_for_company_does_not_wait_for_all_of_it() {
    let (client, mut server) = duplex(WIDE);
    let (wire, mut driver) = wire(client, None);
    assert!(poll(&mut driver).is_pending());
    let ping = ping();
    let mut answers = vec![asked(&wire, &ping)];
    assert_eq!(arrived(&mut server).matches("PING").count(), 1);
    for _ in 1..MOST_GATHERED {
        answers.push(asked(&wire, &ping));
        assert_eq!(arrived(&mut server), "");
    }
    answers.push(asked(&wire, &ping));
    let sent = arrived(&mut server).matches("PING").count();
    assert_eq!(sent, MOST_GATHERED);
}

#[tokio::test]
async fn whoever_is_held_up_or_given_up_holds_up_nobody_who_relies_on_it() {
    let (client, mut server) = duplex(WIDE);
    let (wire, mut driver) = wire(client, None);
    assert!(poll(&mut driver).is_pending());
    let ping = ping();
    // Of those that wait for company the first is to send, whose executor does not come round.
    let mut answers: Vec<_> = (0..3).map(|_| asked(&wire, &ping)).collect();
    assert_eq!(arrived(&mut server).matches("PING").count(), 1);
    says(&mut server, b":0\r\n").await;
    assert!(poll(&mut driver).is_pending());
    assert_eq!(arrived(&mut server).matches("PING").count(), 2);
    // Here it is given up.
    let first = asked(&wire, &ping);
    answers.push(asked(&wire, &ping));
    assert_eq!(arrived(&mut server), "");
    drop(first);
    assert_eq!(arrived(&mut server).matches("PING").count(), 2);
    // And here one of the others is: it is sent, and not at any later time.
    answers.push(asked(&wire, &ping));
    drop(asked(&wire, &ping));
    assert_eq!(arrived(&mut server).matches("PING").count(), 2);

    says(&mut server, b":1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n").await;
    assert!(poll(&mut driver).is_pending());
    for (number, answer) in [0, 1, 2, 4, 5].into_iter().zip(&mut answers) {
        assert_eq!(ready(answer).unwrap(), Value::Int(number));
    }
}

#[tokio::test]
async fn many_callers_have_their_own_answers_in_order() {
    let (client, mut server) = duplex(WIDE);
    let (wire, driver) = wire(client, None);
    let driver = tokio::spawn(driver);
    let serving = tokio::spawn(async move {
        let mut seen = 0;
        while seen < 3_000 {
            let mut bytes = Vec::with_capacity(WIDE);
            assert_ne!(server.read_buf(&mut bytes).await.unwrap(), 0);
            let text = String::from_utf8(bytes).unwrap();
            // A request may come in two parts: it counts when its end does.
            for _ in 0..text.matches("G\r\n").count() {
                seen += 1;
                says(&mut server, format!(":{seen}\r\n").as_bytes()).await;
            }
        }
    });
    let callers: Vec<_> = (0..30)
        .map(|_| {
            let wire = wire.clone();
            tokio::spawn(async move {
                let (mut last, ping) = (0, ping());
                for _ in 0..100 {
                    let Value::Int(number) = wire.ask(ping.clone()).await.unwrap().remove(0) else {
                        panic!("no number");
                    };
                    assert!(number > last);
                    last = number;
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    serving.await.unwrap();
    driver.await.unwrap();
}

#[tokio::test]
async fn one_that_is_given_up_takes_nobody_else_s_answer_along() {
    let (client, mut server) = duplex(WIDE);
    let (wire, mut driver) = wire(client, None);
    assert!(poll(&mut driver).is_pending());
    let ping = ping();
    let mut answers: Vec<_> = (0..3).map(|_| asked(&wire, &ping)).collect();
    // One that is sent, and one that waits.
    drop(answers.remove(0));
    assert_eq!(arrived(&mut server).matches("PING").count(), 1);
    drop(answers.remove(0));
    // It leaves nothing behind that would be sent at some later time.
    assert_eq!(arrived(&mut server).matches("PING").count(), 2);
    assert!(poll(&mut driver).is_pending());
    says(&mut server, b":0\r\n:1\r\n:2\r\n").await;
    assert!(poll(&mut driver).is_pending());
    assert_eq!(ready(&mut answers[0]).unwrap(), Value::Int(2));
}

#[tokio::test]
async fn an_answer_is_released_before_the_next_one_is_there() {
    let (client, mut server) = duplex(WIDE);
    let (wire, mut driver) = wire(client, None);
    assert!(poll(&mut driver).is_pending());
    let ping = ping();
    let mut answers: Vec<_> = (0..3).map(|_| asked(&wire, &ping)).collect();
    assert!(poll(&mut driver).is_pending());
    let text = vec![b'y'; 200_000];
    let long = [b"$200000\r\n", &*text, b"\r\n:3\r\n"].concat();
    says(&mut server, b"*2\r\n:1\r\n:2\r\n").await;
    let mut sent = 0;
    // In parts that cut it everywhere: in its length, in its bytes, in its end.
    for part in [1, 4, 5, 10_000, 170_000, 19_999, 1, 2, 2] {
        says(&mut server, &long[sent..sent + part]).await;
        assert!(poll(&mut driver).is_pending());
        if sent == 0 {
            let two = Value::Array(vec![Value::Int(1), Value::Int(2)]);
            assert_eq!(ready(&mut answers[0]).unwrap(), two);
        } else if sent < 200_000 {
            assert!(poll(&mut answers[1]).is_pending());
        }
        sent += part;
    }
    assert_eq!(sent, long.len() - 1);
    assert_eq!(ready(&mut answers[1]).unwrap(), Value::BulkString(text));
    assert!(poll(&mut answers[2]).is_pending());
    says(&mut server, b"\n").await;
    assert!(poll(&mut driver).is_pending());
    assert_eq!(ready(&mut answers[2]).unwrap(), Value::Int(3));
}

#[tokio::test]
async fn a_push_acts_before_the_answer_behind_it_is_released() {
    let (client, mut server) = duplex(WIDE);
    let heard = Arc::new(AtomicBool::new(false));
    let (wire, mut driver) = {
        let heard = heard.clone();
        let handler: PushHandler = Arc::new(move |push| {
            assert_eq!(push.kind, PushKind::Invalidate);
            heard.store(true, Ordering::Relaxed);
        });
        wire(client, Some(handler))
    };
    assert!(poll(&mut driver).is_pending());
    let ping = ping();
    let mut answers = [asked(&wire, &ping), asked(&wire, &ping)];
    assert!(poll(&mut driver).is_pending());
    says(
        &mut server,
        b":1\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\n",
    )
    .await;
    assert!(poll(&mut driver).is_pending());
    assert!(poll(&mut answers[0]).is_ready());
    assert!(!heard.load(Ordering::Relaxed));
    says(&mut server, b"k\r\n:2\r\n").await;
    assert!(poll(&mut driver).is_pending());
    assert!(heard.load(Ordering::Relaxed));
    assert_eq!(ready(&mut answers[1]).unwrap(), Value::Int(2));
}

/// All who wait, sent or not, and those who come later, once `ends` has been done.
async fn ended(ends: impl AsyncFnOnce(DuplexStream, Driver)) -> Vec<RedisError> {
    let (client, mut server) = duplex(WIDE);
    let (wire, mut driver) = wire(client, None);
    assert!(poll(&mut driver).is_pending());
    let ping = ping();
    let mut answers = vec![asked(&wire, &ping), asked(&wire, &ping)];
    assert!(poll(&mut driver).is_pending());
    assert_eq!(arrived(&mut server).matches("PING").count(), 2);
    answers.push(asked(&wire, &ping));
    ends(server, driver).await;
    let mut errors: Vec<_> = answers
        .iter_mut()
        .map(|answer| ready(answer).unwrap_err())
        .collect();
    // At once.
    errors.push(ready(&mut (Box::pin(wire.ask(ping.clone())) as Answer<'_>)).unwrap_err());
    errors
}

#[tokio::test]
async fn a_lost_connection_fails_everybody_who_waits() {
    let lost = ended(async |server, mut driver| {
        drop(server);
        assert!(poll(&mut driver).is_ready());
    });
    let given_up = ended(async |_, driver| drop(driver));
    for errors in [lost.await, given_up.await] {
        assert_eq!(errors.len(), 4);
        for error in errors {
            assert_eq!(error.kind(), redis::ErrorKind::Io, "{error}");
        }
    }
}

#[tokio::test]
async fn garbage_fails_everybody_who_waits_and_ends_it() {
    let errors = ended(async |mut server, mut driver| {
        says(&mut server, b"HTTP/1.1 400 Bad Request\r\n").await;
        assert!(poll(&mut driver).is_ready());
    })
    .await;
    for error in &errors[..3] {
        assert_eq!(error.kind(), redis::ErrorKind::Parse, "{error}");
    }
    assert_eq!(errors[3].kind(), redis::ErrorKind::Io);
}

#[tokio::test]
async fn what_a_server_does_not_take_waits_for_it_and_too_much_is_refused() {
    let (client, mut server) = duplex(100_000);
    let (wire, mut driver) = wire(client, None);
    assert!(poll(&mut driver).is_pending());
    let large = echo(10 << 20);
    let mut answers: Vec<_> = Vec::new();
    let refused = loop {
        let mut answer: Answer<'_> = Box::pin(wire.ask(large.clone()));
        if let Poll::Ready(refused) = poll(&mut answer) {
            break refused.unwrap_err();
        }
        answers.push(answer);
        assert!(answers.len() < 20);
        assert!(poll(&mut driver).is_pending());
    };
    assert_eq!(refused.kind(), redis::ErrorKind::Io);
    // It goes on where it stopped.
    let driver = tokio::spawn(driver);
    let mut taken = 0;
    let whole = answers.len() * large.clone().into_bytes().len();
    let mut bytes = Vec::new();
    while taken < whole {
        bytes.clear();
        taken += server.read_buf(&mut bytes).await.unwrap();
    }
    assert_eq!(taken, whole);
    says(&mut server, b":1\r\n").await;
    assert_eq!(answers.remove(0).await.unwrap(), [Value::Int(1)]);
    driver.abort();
}
