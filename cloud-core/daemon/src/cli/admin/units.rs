//! A maker's list of units, and the labels for them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use contract::enrolment::ClaimCode;
use zeroize::Zeroizing;

use super::{operator, write_secret};
use crate::claims::{Label, Line, NewUnit, add, sheet};
use crate::core::Core;

const HEADER: &str = "model,revision,serial_number,factory_key,code";
const MOST_LINES: usize = 10_000;

pub(super) async fn import(core: &Core, list: &Path, labels: &Path) -> Result<String> {
    let text = fs::read_to_string(list).with_context(|| format!("reading {}", list.display()))?;
    let text = Zeroizing::new(text);
    let mut units = Vec::new();
    let mut lines = text.lines();
    if lines.next().map(str::trim_end) != Some(HEADER) {
        bail!("{} does not begin with the line `{HEADER}`", list.display());
    }
    for (index, line) in lines.enumerate() {
        if index >= MOST_LINES {
            bail!(
                "{} has more than {MOST_LINES} lines: cut it",
                list.display()
            );
        }
        let unit =
            read_line(line).with_context(|| format!("{}, line {}", list.display(), index + 2))?;
        units.push(unit);
    }
    let count = units.len();
    let mut tx = core.store.write().await?;
    let mut made = Vec::new();
    for (index, unit) in units.into_iter().enumerate() {
        let (model, serial_number) = (unit.model.clone(), unit.serial_number.clone());
        let (id, code) = add(&mut tx, core, &operator(), unit)
            .await
            .with_context(|| format!("{}, line {}", list.display(), index + 2))?;
        made.push(Line {
            model,
            serial_number: serial_number.unwrap_or_else(|| id.to_string()),
            label: Label::of(&core.keys.addresses().https, &code),
        });
    }
    // Written before anything is taken in: codes can be read nowhere else.
    write_secret(labels, &sheet(&made))?;
    tx.commit().await?;
    Ok(format!(
        "{count} units can be claimed; their labels are in {}\n  \
         print it, then delete it: the codes are kept nowhere else\n",
        labels.display()
    ))
}

fn read_line(line: &str) -> Result<NewUnit> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let [model, revision, serial_number, factory_key, code] = *fields.as_slice() else {
        bail!("it has {} fields instead of 5", fields.len());
    };
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Ok(NewUnit {
        model: model.to_owned(),
        revision: given(revision).map(|text| text.parse()).transpose()?,
        serial_number: given(serial_number),
        factory_key: given(factory_key).as_deref().map(read_hash).transpose()?,
        code: given(code)
            .map(|text| text.parse::<ClaimCode>())
            .transpose()?,
    })
}

fn read_hash(text: &str) -> Result<[u8; 32]> {
    let mut hash = [0; 32];
    let right = text.len() == 64 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !right {
        bail!("a factory key is given as the 64 hexadecimal digits of its SHA-256");
    }
    for (octet, place) in hash.iter_mut().zip((0..64).step_by(2)) {
        *octet = u8::from_str_radix(&text[place..place + 2], 16)?;
    }
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::testing::keys;
    use crate::store::query;
    use crate::store::testing::on_both;

    async fn count(core: &Core) -> i64 {
        let mut tx = core.store.read().await.unwrap();
        let row = tx.one(query("SELECT count(*) AS n FROM unit")).await;
        row.unwrap().int("n").unwrap()
    }

    #[tokio::test]
    async fn d1_a_list_is_taken_in_whole_or_not_at_all() {
        on_both(async |store| {
            let world = keys(&store).await;
            let core = world.core(&store);
            let folder = tempfile::tempdir().unwrap();
            let (list, labels) = (folder.path().join("list"), folder.path().join("labels"));
            let code = ClaimCode::from_random([5; 20]);
            let key = "ab".repeat(32);
            let good = format!(
                "OD1,AA,4711,{key},{}\nID5 TD,AD,4712,,\n",
                code.printed().as_str()
            );
            fs::write(&list, format!("{HEADER}\n{good}OD 99,AA,4713,,\n")).unwrap();
            let refused = import(&core, &list, &labels).await.unwrap_err();
            assert!(
                format!("{refused:#}").contains("line 4: `OD 99`"),
                "{refused:#}"
            );
            assert_eq!((count(&core).await, labels.exists()), (0, false));
            fs::write(&list, format!("{HEADER}\n{good}")).unwrap();
            import(&core, &list, &labels).await.unwrap();
            assert_eq!(count(&core).await, 2);
            let page = fs::read_to_string(&labels).unwrap();
            assert!(page.contains(code.printed().as_str()) && page.contains("4712"));
            assert!(
                import(&core, &list, &labels).await.is_err(),
                "known already"
            );
        })
        .await;
    }

    #[test]
    fn d1_a_line_that_is_not_right_says_why() {
        for (line, why) in [
            ("OD1,AA,4711,", "4 fields instead of 5"),
            ("OD1,A,4711,,", "two letters"),
            ("OD1,AA,4711,xy,", "64 hexadecimal digits"),
            ("OD1,AA,4711,,ABC", "has 3 characters"),
        ] {
            let told = format!("{:#}", read_line(line).unwrap_err());
            assert!(told.contains(why), "{line}: {told}");
        }
    }
}
