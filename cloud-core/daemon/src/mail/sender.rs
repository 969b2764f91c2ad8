//! Takes letters that are due to the mail server, one after the other.
//!
//! A reconciler: what is to be done stands in the table. Invariant: a server that cannot be used
//! costs one try and a pause, not one try per letter.

use std::time::Duration;

use cloud_logic::ids::{LetterId, NodeId};
use cloud_logic::letters::retry_after;
use tokio_util::sync::CancellationToken;

use super::compose::{self, Sender};
use super::letters::{self, Due, State};
use super::transport::{Transport, Trouble, sender};
use super::{Mail, count};
use crate::core::{Core, NewId};
use crate::random;
use crate::store::{StoreError, lease};

const TASK: &str = "mail";
const LEASE: Duration = Duration::from_secs(60);

/// How often is looked for what is due.
const LOOK: Duration = Duration::from_secs(1);

/// A letter on its way is nobody else's for so long: longer than a conversation with a server that
/// uses up all patience.
const HELD: Duration = Duration::from_secs(5 * 60);

/// After the first failure of the server; doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);

/// How a round ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Round {
    /// Nothing is due, or another node is at it.
    Idle,
    ServerTrouble,
}

/// What a round needs.
#[derive(Debug)]
pub(super) struct Post {
    transport: Transport,
    sender: Sender,
    holder: NodeId,
}

impl Post {
    /// Nothing where no mail server is set up.
    pub(super) fn of(core: &Core) -> Result<Option<Self>, Trouble> {
        let Some(settings) = core.mail.settings() else {
            return Ok(None);
        };
        let sender = sender(core, settings);
        Ok(Some(Self {
            transport: Transport::new(settings, &sender.host)?,
            sender,
            holder: NodeId::new_at(core.now()),
        }))
    }
}

/// Until `stop`.
pub(crate) async fn run(core: Core, stop: CancellationToken) {
    let post = match Post::of(&core) {
        Ok(Some(post)) => post,
        Ok(None) => {
            tracing::info!("no mail server is set up: letters wait in the store");
            return stop.cancelled().await;
        }
        Err(trouble) => {
            tracing::error!(%trouble, "no mail leaves; mend [mail] and start again");
            core.mail.set_trouble(Some(trouble.to_string()));
            return stop.cancelled().await;
        }
    };
    let mut pause = FIRST_PAUSE;
    loop {
        let wait = match round(&core, &post).await {
            Ok(Round::Idle) => {
                pause = FIRST_PAUSE;
                LOOK
            }
            Ok(Round::ServerTrouble) => {
                let wait = pause;
                pause = (pause * 2).min(LONGEST_PAUSE);
                wait
            }
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "letters could not be read or written down; tried again"
                );
                FIRST_PAUSE
            }
        };
        tokio::select! {
            () = stop.cancelled() => return leave(&core, &post).await,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn leave(core: &Core, post: &Post) {
    let left = async {
        let mut tx = core.store.write().await?;
        lease::give(&mut tx, TASK, post.holder).await?;
        tx.commit().await
    };
    if let Err(error) = left.await {
        tracing::debug!(%error, "the sending of mail was not given back; its lease runs out");
    }
}

/// Sends what is due.
pub(super) async fn round(core: &Core, post: &Post) -> Result<Round, StoreError> {
    while let Some(due) = next(core, post).await? {
        let id = due.id;
        let outcome = send(core, post, due).await;
        if let Err(trouble) = &outcome.1 {
            tracing::warn!(letter = %id, %trouble, "a letter has not left");
        }
        if written_down(core, id, outcome).await? == Round::ServerTrouble {
            return Ok(Round::ServerTrouble);
        }
    }
    Ok(Round::Idle)
}

async fn next(core: &Core, post: &Post) -> Result<Option<Due>, StoreError> {
    let mut tx = core.store.read().await?;
    if !letters::any_due(&mut tx, core.now()).await? {
        return Ok(None);
    }
    drop(tx);
    let mut tx = core.store.write().await?;
    // Two that believe to be at it cannot both commit.
    let life = (core.now(), LEASE);
    if !lease::take(&mut tx, TASK, post.holder, life).await? {
        return Ok(None);
    }
    letters::forget(&mut tx, core.now()).await?;
    let due = letters::take(&mut tx, core, HELD).await?;
    tx.commit().await?;
    Ok(due)
}

/// How many tries it took, and how the last one went.
async fn send(core: &Core, post: &Post, due: Due) -> (u32, Result<(), Trouble>) {
    let to = (due.recipient.as_str(), due.language);
    let message = compose::text_of(&due)
        .and_then(|text| compose::message(&post.sender, to, &due.id.to_string(), text, core.now()));
    let sent = match message {
        // Nothing that waiting would change.
        Err(error) => Err(Trouble::Never(error.to_string())),
        Ok(message) => post.transport.send(message).await,
    };
    (due.tries, sent)
}

async fn written_down(
    core: &Core,
    id: LetterId,
    (tries, outcome): (u32, Result<(), Trouble>),
) -> Result<Round, StoreError> {
    let now = core.now();
    let [chance] = random::octets();
    let figures = core.mail.figures();
    let mut tx = core.store.write().await?;
    let round = match outcome {
        Ok(()) => {
            letters::end(&mut tx, id, (State::Sent, None), now).await?;
            count(&figures.sent);
            works(&core.mail);
            Round::Idle
        }
        Err(Trouble::Never(reason)) => {
            letters::end(&mut tx, id, (State::Failed, Some(&reason)), now).await?;
            count(&figures.given_up);
            works(&core.mail);
            Round::Idle
        }
        Err(Trouble::Later(reason)) => {
            let until = now.saturating_add(retry_after(tries, chance));
            letters::put_off(&mut tx, id, until, &reason).await?;
            count(&figures.put_off);
            works(&core.mail);
            Round::Idle
        }
        Err(Trouble::Server(reason)) => {
            // Another letter has the next try: should it be this one at which the server breaks
            // off, the others leave all the same.
            let wait = retry_after(tries, chance).min(LONGEST_PAUSE);
            letters::put_off(&mut tx, id, now.saturating_add(wait), &reason).await?;
            count(&figures.put_off);
            count(&figures.server_failures);
            core.mail.set_trouble(Some(reason));
            Round::ServerTrouble
        }
    };
    tx.commit().await?;
    Ok(round)
}

fn works(mail: &Mail) {
    mail.set_trouble(None);
}
