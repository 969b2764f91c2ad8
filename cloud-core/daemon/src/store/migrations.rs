//! The tables, version by version, for each engine. The numbers are the same in both.

use sqlx::migrate::Migrator;

pub(super) static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
pub(super) static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_engines_have_the_same_migrations() {
        let names = |migrator: &Migrator| -> Vec<_> {
            let all = migrator.iter();
            all.map(|step| (step.version, step.description.to_string()))
                .collect()
        };
        assert_eq!(names(&SQLITE), names(&POSTGRES));
        assert!(!names(&SQLITE).is_empty());
    }
}
