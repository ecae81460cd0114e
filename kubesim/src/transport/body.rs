//! The body of an answer: whole, streamed, or broken off.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use http_body::{Frame, SizeHint};

/// The connection was broken on purpose, by a rule of the tap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("connection reset by peer")]
pub struct Broken;

type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, Broken>> + Send>>;

/// An answer's body.
pub struct Body(Kind);

enum Kind {
    Whole(Option<Bytes>),
    Stream(Chunks),
    /// What another server answers, as it comes.
    Passed(hyper::body::Incoming),
    /// Says that `total` bytes follow, sends `part`, waits `pauses` polls for it to be flushed, breaks.
    Truncated {
        part: Option<Bytes>,
        total: u64,
        pauses: u8,
    },
}

impl Body {
    /// A body that is all there.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self(Kind::Whole(Some(bytes.into())))
    }

    pub(crate) fn stream(chunks: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        use futures::StreamExt as _;
        Self::fallible(chunks.map(Ok))
    }

    /// A stream that may break the connection.
    pub(crate) fn fallible(chunks: impl Stream<Item = Result<Bytes, Broken>> + Send + 'static) -> Self {
        Self(Kind::Stream(Box::pin(chunks)))
    }

    /// The body of another server's answer, passed on as it comes.
    pub(crate) fn passed(body: hyper::body::Incoming) -> Self {
        Self(Kind::Passed(body))
    }

    /// The same body, all there.
    ///
    /// # Errors
    /// When it breaks before its end.
    pub(crate) async fn collected(self) -> Result<Self, Broken> {
        use http_body_util::BodyExt as _;
        match self.0 {
            Kind::Whole(_) => Ok(self),
            _ => Ok(Self::whole(self.collect().await?.to_bytes())),
        }
    }

    /// The first half of this body, and then a broken connection. One that is not all there breaks before
    /// its first byte.
    pub(crate) fn truncated(self) -> Self {
        let whole = match self.0 {
            Kind::Whole(Some(bytes)) => bytes,
            _ => Bytes::new(),
        };
        let part = whole.slice(..whole.len() / 2);
        Self(Kind::Truncated { part: Some(part), total: whole.len() as u64, pauses: 2 })
    }

    /// The bytes of a whole body.
    pub(crate) fn bytes(&self) -> Option<&Bytes> {
        match &self.0 {
            Kind::Whole(bytes) => bytes.as_ref(),
            _ => None,
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut self.0 {
            Kind::Whole(bytes) => {
                Poll::Ready(bytes.take().filter(|b| !b.is_empty()).map(|b| Ok(Frame::data(b))))
            }
            Kind::Stream(chunks) => {
                chunks.as_mut().poll_next(cx).map(|chunk| chunk.map(|chunk| chunk.map(Frame::data)))
            }
            Kind::Passed(body) => {
                Pin::new(body).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(|_| Broken)))
            }
            Kind::Truncated { part, pauses, .. } => {
                if let Some(part) = part.take().filter(|part| !part.is_empty()) {
                    return Poll::Ready(Some(Ok(Frame::data(part))));
                }
                if *pauses > 0 {
                    *pauses -= 1;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Ready(Some(Err(Broken)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Kind::Passed(body) => body.is_end_stream(),
            _ => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Kind::Stream(_) => SizeHint::default(),
            Kind::Passed(body) => body.size_hint(),
            // An empty answer cannot be cut in half: promise one byte that never comes.
            Kind::Truncated { total, .. } => SizeHint::with_exact((*total).max(1)),
        }
    }
}
