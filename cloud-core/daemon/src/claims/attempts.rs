//! Counts wrong codes, by user and by company.

use cloud_logic::claims::Attempts;
use cloud_logic::ids::{CompanyId, UserId};
use model::Timestamp;

use crate::store::{StoreError, Tx, query};

/// Who tries, and for whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trying {
    pub(super) user: UserId,
    pub(super) company: CompanyId,
}

/// Whether one more may be made now; if not, when. Those who try at the same instant wait here for
/// one another until commit.
pub(super) async fn one_more(
    tx: &mut Tx,
    who: Trying,
    now: Timestamp,
) -> Result<Result<(), Timestamp>, StoreError> {
    let all = [
        (Attempts::OfCompany, who.company.to_string()),
        (Attempts::OfUser, who.user.to_string()),
    ];
    for (whose, id) in all {
        let turn = query(
            "INSERT INTO claim_turn (who, turns) VALUES ($1, 1)
             ON CONFLICT (who) DO UPDATE SET turns = claim_turn.turns + 1",
        );
        tx.execute(turn.bind(&id)).await?;
        let limit = whose.limit();
        let asked = match whose {
            Attempts::OfUser => query(
                "SELECT count(*) AS wrong, min(at) AS oldest FROM claim_attempt
                 WHERE user_id = $1 AND at > $2",
            ),
            Attempts::OfCompany => query(
                "SELECT count(*) AS wrong, min(at) AS oldest FROM claim_attempt
                 WHERE company_id = $1 AND at > $2",
            ),
        };
        let asked = asked.bind(id).bind(now.saturating_sub(limit.within));
        let row = tx.one(asked).await?;
        let wrong = u32::try_from(row.int("wrong")?).unwrap_or(u32::MAX);
        if !whose.one_more(wrong) {
            let oldest = row.maybe_time("oldest")?.unwrap_or(now);
            return Ok(Err(oldest.saturating_add(limit.within)));
        }
    }
    Ok(Ok(()))
}

pub(super) async fn was_wrong(tx: &mut Tx, who: Trying, now: Timestamp) -> Result<(), StoreError> {
    let forget = query("DELETE FROM claim_attempt WHERE at <= $1");
    let longest = Attempts::OfCompany.limit().within;
    tx.execute(forget.bind(now.saturating_sub(longest))).await?;
    let count = query("INSERT INTO claim_attempt (user_id, company_id, at) VALUES ($1, $2, $3)");
    tx.execute(count.bind(who.user).bind(who.company).bind(now))
        .await?;
    Ok(())
}
