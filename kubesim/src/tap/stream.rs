//! Watches that break in the middle or come late: an answer's stream, cut into its events.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt as _;
use jiff::Timestamp;

use crate::clock::Clock;
use crate::handlers::header;
use crate::transport::{Body, Broken};

/// How a stream is divided into events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// JSON: a line an event.
    Lines,
    /// Protobuf: four bytes of length, most significant first, before each event.
    Delimited,
}

impl Framing {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        if header(headers, "content-type").contains("protobuf") { Self::Delimited } else { Self::Lines }
    }

    /// Takes one whole event off the front.
    fn split(self, buffer: &mut BytesMut) -> Option<Bytes> {
        let end = match self {
            Self::Lines => buffer.iter().position(|byte| *byte == b'\n')? + 1,
            Self::Delimited => {
                let length = buffer.first_chunk::<4>()?;
                usize::try_from(u32::from_be_bytes(*length)).ok()?.checked_add(4)?
            }
        };
        (buffer.len() >= end).then(|| buffer.split_to(end).freeze())
    }
}

/// The events of a stream, one by one.
struct Events {
    body: Body,
    framing: Framing,
    buffer: BytesMut,
}

impl Events {
    fn new(body: Body, framing: Framing) -> Self {
        Self { body, framing, buffer: BytesMut::new() }
    }

    /// The next event; `None` at the end. Cancel-safe.
    async fn next(&mut self) -> Option<Result<Bytes, Broken>> {
        loop {
            if let Some(event) = self.framing.split(&mut self.buffer) {
                return Some(Ok(event));
            }
            match self.body.frame().await {
                None => return None,
                Some(Err(broken)) => return Some(Err(broken)),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
            }
        }
    }
}

/// The first `events` events of a stream, and then a broken connection.
pub(super) fn dropped(body: Body, framing: Framing, events: u32) -> Body {
    let state = (Events::new(body, framing), events);
    Body::fallible(futures::stream::unfold(Some(state), |state| async move {
        let (mut stream, left) = state?;
        if left == 0 {
            flushed().await;
            return Some((Err(Broken), None));
        }
        match stream.next().await? {
            Ok(event) => Some((Ok(event), Some((stream, left - 1)))),
            Err(broken) => Some((Err(broken), None)),
        }
    }))
}

/// Lets the connection write out what it has been given, before it is broken.
async fn flushed() {
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
}

struct Late {
    stream: Events,
    /// When each is due, by the clock's steady time.
    waiting: VecDeque<(Timestamp, Bytes)>,
    /// How the stream ended, once it has.
    ended: Option<Option<Broken>>,
    clock: Clock,
    late: Duration,
}

impl Late {
    /// Goes on reading while events wait for their time, so that each is exactly as late as the others.
    async fn next(&mut self) -> Option<Result<Bytes, Broken>> {
        loop {
            let clock = self.clock.clone();
            let due = self.waiting.front().map(|(due, _)| *due);
            if due.is_none()
                && let Some(end) = self.ended
            {
                return end.map(Err);
            }
            let turn = async {
                match due {
                    None => std::future::pending().await,
                    Some(due) => {
                        let wait = due.duration_since(clock.steady());
                        clock.sleep(Duration::try_from(wait).unwrap_or_default()).await;
                    }
                }
            };
            tokio::select! {
                biased;
                () = turn => return self.waiting.pop_front().map(|(_, event)| Ok(event)),
                event = self.stream.next(), if self.ended.is_none() => match event {
                    None => self.ended = Some(None),
                    Some(Err(broken)) => self.ended = Some(Some(broken)),
                    Some(Ok(event)) => {
                        let due = clock.steady().checked_add(self.late).unwrap_or(Timestamp::MAX);
                        self.waiting.push_back((due, event));
                    }
                },
            }
        }
    }
}

/// Every event of a stream, each this much later in cluster time.
pub(super) fn late(body: Body, framing: Framing, clock: Clock, late: Duration) -> Body {
    let stream = Events::new(body, framing);
    let late = Late { stream, waiting: VecDeque::new(), ended: None, clock, late };
    Body::fallible(futures::stream::unfold(late, |mut late| async move {
        late.next().await.map(|event| (event, late))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_cut_where_they_end_however_the_bytes_arrive() {
        let mut buffer = BytesMut::from(&b"{\"a\":1}\n{\"b\""[..]);
        assert_eq!(Framing::Lines.split(&mut buffer).as_deref(), Some(&b"{\"a\":1}\n"[..]));
        assert_eq!(Framing::Lines.split(&mut buffer), None);
        let mut buffer = BytesMut::from(&[0, 0, 0, 2, 7, 7, 0, 0, 0, 1][..]);
        assert_eq!(Framing::Delimited.split(&mut buffer).as_deref(), Some(&[0, 0, 0, 2, 7, 7][..]));
        assert_eq!(Framing::Delimited.split(&mut buffer), None);
    }
}
