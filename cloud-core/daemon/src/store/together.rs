//! Common looks: what is asked at the same time is asked in one transaction.
//!
//! Whoever comes while a look is under way waits for the next one, which then asks for all who wait.
//! So every answer is of after its question, and a thousand questions are few looks. Not for writing: a
//! look ends with the one who does it, and the others ask again. Invariant: nobody gets an answer that
//! was read before her question.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as Turn, oneshot};

/// So many are asked for in one look.
const PORTION: usize = 256;

#[derive(Debug)]
pub(crate) struct Together<Q, A> {
    waiting: Mutex<Vec<Question<Q, A>>>,
    turn: Turn<()>,
}

#[derive(Debug)]
struct Question<Q, A> {
    asked: Q,
    answer: oneshot::Sender<A>,
}

impl<Q, A> Default for Together<Q, A> {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            turn: Turn::default(),
        }
    }
}

impl<Q: Clone, A> Together<Q, A> {
    /// The answer to a question. `look` gives the answers to all questions, in their order, and is
    /// called for those who come together by one of them.
    pub(crate) async fn ask<E, F>(&self, asked: &Q, look: impl Fn(Vec<Q>) -> F) -> Result<A, E>
    where
        F: Future<Output = Result<Vec<A>, E>>,
    {
        loop {
            let (answer, mut answered) = oneshot::channel();
            let asked = asked.clone();
            self.waiting().push(Question { asked, answer });
            let turn = tokio::select! {
                biased;
                answer = &mut answered => match answer {
                    Ok(answer) => return Ok(answer),
                    // Who looked for us went away, or failed.
                    Err(_) => continue,
                },
                turn = self.turn.lock() => turn,
            };
            // The turn may have come together with the answer.
            if let Ok(answer) = answered.try_recv() {
                return Ok(answer);
            }
            let questions = self.take();
            let (all, answers): (Vec<_>, Vec<_>) = questions
                .into_iter()
                .map(|question| (question.asked, question.answer))
                .unzip();
            let found = look(all).await?;
            for (answer, found) in answers.into_iter().zip(found) {
                // Who went away needs none.
                let _ = answer.send(found);
            }
            drop(turn);
            if let Ok(answer) = answered.try_recv() {
                return Ok(answer);
            }
        }
    }

    fn take(&self) -> Vec<Question<Q, A>> {
        let mut waiting = self.waiting();
        // Who is gone is not asked for.
        waiting.retain(|question| !question.answer.is_closed());
        let portion = waiting.len().min(PORTION);
        waiting.drain(..portion).collect()
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Question<Q, A>>> {
        // It is whole between two statements.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[derive(Default)]
    struct World {
        together: Together<u32, u32>,
        looks: AtomicUsize,
        /// The first look waits for it.
        go_on: Notify,
    }

    impl World {
        async fn ask(&self, number: u32) -> Result<u32, &'static str> {
            let look = async |asked: Vec<u32>| {
                if self.looks.fetch_add(1, Ordering::Relaxed) == 0 {
                    self.go_on.notified().await;
                }
                match asked.contains(&1313) {
                    true => Err("unlucky"),
                    false => Ok(asked.into_iter().map(|number| number * 2).collect()),
                }
            };
            self.together.ask(&number, look).await
        }
    }

    /// Asks, and comes so far that it waits.
    async fn asking(
        world: &Arc<World>,
        number: u32,
    ) -> tokio::task::JoinHandle<Result<u32, &'static str>> {
        let asked = Arc::clone(world);
        let task = tokio::spawn(async move { asked.ask(number).await });
        tokio::task::yield_now().await;
        task
    }

    #[tokio::test]
    async fn those_who_come_during_a_look_share_the_next_one() {
        let world = Arc::new(World::default());
        let first = asking(&world, 1).await;
        let mut others = Vec::new();
        for number in 2..=300 {
            others.push((number, asking(&world, number).await));
        }
        world.go_on.notify_one();
        assert_eq!(first.await.unwrap(), Ok(2));
        for (number, other) in others {
            assert_eq!(other.await.unwrap(), Ok(number * 2));
        }
        assert_eq!(world.looks.load(Ordering::Relaxed), 3, "one, 256, the rest");
    }

    #[tokio::test]
    async fn who_goes_away_while_looking_takes_nobody_along() {
        let world = Arc::new(World::default());
        let first = asking(&world, 1).await;
        let second = asking(&world, 2).await;
        first.abort();
        assert_eq!(second.await.unwrap(), Ok(4));
    }

    #[tokio::test]
    async fn a_look_that_fails_is_one_ones_failure_and_the_others_look_again() {
        let world = Arc::new(World::default());
        let first = asking(&world, 1).await;
        let bad = asking(&world, 1313).await;
        let good = asking(&world, 3).await;
        world.go_on.notify_one();
        assert_eq!(first.await.unwrap(), Ok(2));
        assert_eq!(bad.await.unwrap(), Err("unlucky"));
        assert_eq!(good.await.unwrap(), Ok(6));
    }
}
