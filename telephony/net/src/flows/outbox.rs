//! Bytes on their way from the owner to the task of one connection, and the order to end it.
//!
//! Both sides mostly run on the same thread, so the lock is free whenever it is taken; it is held
//! for a copy and never over an await. An empty outbox owns no heap: most connections are idle most
//! of the time.

use std::mem;
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Waker};

use super::flow::CloseReason;

#[derive(Debug)]
pub(super) struct Outbox {
    limit: usize,
    shared: Mutex<Shared>,
}

#[derive(Debug)]
struct Shared {
    queued: Vec<u8>,
    /// Bytes the task took and has not written completely.
    taken: usize,
    order: Order,
    task: Option<Waker>,
}

/// What the owner wants of the task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Run,
    /// Write what is queued, then close.
    Finish,
    /// Close at once.
    Abort(CloseReason),
}

/// More bytes would wait than the peer may make us hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Overflow;

impl Outbox {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            shared: Mutex::new(Shared {
                queued: Vec::new(),
                taken: 0,
                order: Order::Run,
                task: None,
            }),
        }
    }

    /// All or nothing.
    pub(super) fn push(&self, bytes: &[u8]) -> Result<(), Overflow> {
        let mut shared = self.lock();
        if shared.queued.len() + shared.taken + bytes.len() > self.limit {
            return Err(Overflow);
        }
        shared.queued.extend_from_slice(bytes);
        wake(shared);
        Ok(())
    }

    /// The first order to abort stays.
    pub(super) fn order(&self, order: Order) {
        let mut shared = self.lock();
        if !matches!(shared.order, Order::Abort(_)) {
            shared.order = order;
        }
        wake(shared);
    }

    /// For the task, when it has written all of its last batch: everything queued since, and the
    /// order. The task is woken at the next change.
    pub(super) fn take(&self, cx: &Context<'_>) -> (Vec<u8>, Order) {
        let mut shared = self.lock();
        let batch = mem::take(&mut shared.queued);
        shared.taken = batch.len();
        (batch, shared.watch(cx))
    }

    /// For the task, while it is still writing or not yet connected.
    pub(super) fn watch(&self, cx: &Context<'_>) -> Order {
        self.lock().watch(cx)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared
            .lock()
            .expect("nothing that holds this lock can panic")
    }
}

impl Shared {
    fn watch(&mut self, cx: &Context<'_>) -> Order {
        match &mut self.task {
            Some(waker) => waker.clone_from(cx.waker()),
            task @ None => *task = Some(cx.waker().clone()),
        }
        self.order.clone()
    }
}

fn wake(mut shared: MutexGuard<'_, Shared>) {
    let task = shared.task.take();
    drop(shared);
    if let Some(task) = task {
        task.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_task_has_not_written_still_counts() {
        let outbox = Outbox::new(10);
        let cx = Context::from_waker(Waker::noop());
        outbox.push(b"12345678").unwrap();
        assert_eq!(outbox.take(&cx), (b"12345678".to_vec(), Order::Run));
        assert_eq!(outbox.push(b"abc"), Err(Overflow));
        outbox.push(b"ab").unwrap();
        assert_eq!(outbox.take(&cx), (b"ab".to_vec(), Order::Run));
        outbox.push(b"12345678").unwrap();
    }

    #[test]
    fn an_order_to_abort_is_not_overruled() {
        let outbox = Outbox::new(10);
        let cx = Context::from_waker(Waker::noop());
        outbox.order(Order::Finish);
        assert_eq!(outbox.watch(&cx), Order::Finish);
        outbox.order(Order::Abort(CloseReason::NotReading));
        outbox.order(Order::Finish);
        let abort = Order::Abort(CloseReason::NotReading);
        assert_eq!(outbox.watch(&cx), abort);
    }
}
