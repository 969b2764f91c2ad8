//! The spool as the link needs it: tickets in, answers out, in their order.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use client::{Disk, FromDisk, Full};
use session::outbox::Reading;
use session::{Ticket, Write};
use tokio::sync::{mpsc, watch};

use crate::store::{Sequence, Spool, SpoolWrite};

/// Writes on their way to the disk, and the link's number of each.
type OnTheirWay = Rc<RefCell<VecDeque<(Sequence, Ticket)>>>;

/// Both live on the thread of the link.
#[derive(Debug)]
pub(super) struct SpoolDisk {
    spool: Option<Spool>,
    on_their_way: OnTheirWay,
    answers: mpsc::Sender<FromDisk>,
}

impl SpoolDisk {
    /// `safe` says how far the file has it.
    pub(super) fn new(
        spool: Spool,
        safe: watch::Receiver<Sequence>,
        answers: mpsc::Sender<FromDisk>,
    ) -> (Self, impl Future<Output = ()>) {
        let on_their_way = OnTheirWay::default();
        let telling = tell(safe, Rc::clone(&on_their_way), answers.clone());
        let disk = Self {
            spool: Some(spool),
            on_their_way,
            answers,
        };
        (disk, telling)
    }

    fn hand_over(&mut self, write: SpoolWrite) -> Result<Sequence, Full> {
        let spool = self.spool.as_mut().ok_or(Full)?;
        spool.write(write).map_err(|_behind| Full)
    }
}

impl Disk for SpoolDisk {
    fn write(&mut self, ticket: Ticket, write: Write, of: Option<u64>) -> Result<(), Full> {
        let sequence = self.hand_over(SpoolWrite::Link(write, of))?;
        self.on_their_way.borrow_mut().push_back((sequence, ticket));
        Ok(())
    }

    fn read(&mut self, reading: Reading) -> Result<(), Full> {
        let to = self.answers.clone();
        self.hand_over(SpoolWrite::Read(reading, to)).map(drop)
    }
}

impl Drop for SpoolDisk {
    fn drop(&mut self) {
        if let Some(spool) = self.spool.take() {
            spool.finish();
        }
    }
}

/// Tells the link what the file has. What is in memory only, because the disk fails, is not told: a
/// command that must not be done twice is not done then.
async fn tell(
    mut safe: watch::Receiver<Sequence>,
    on_their_way: OnTheirWay,
    answers: mpsc::Sender<FromDisk>,
) {
    while safe.changed().await.is_ok() {
        let through = *safe.borrow_and_update();
        let last = stored(&mut on_their_way.borrow_mut(), through);
        if let Some(ticket) = last
            && answers.send(FromDisk::Stored(ticket)).await.is_err()
        {
            return;
        }
    }
}

/// The last ticket that is stored with this write; those up to it are forgotten.
fn stored(on_their_way: &mut VecDeque<(Sequence, Ticket)>, through: Sequence) -> Option<Ticket> {
    let done = on_their_way.partition_point(|(sequence, _)| *sequence <= through);
    on_their_way
        .drain(..done)
        .next_back()
        .map(|(_, ticket)| ticket)
}
