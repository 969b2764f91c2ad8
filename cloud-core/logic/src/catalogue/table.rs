//! The table of models, read from the data that is compiled in.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::{Mode, Revision};

/// The gateway itself, which stands in no sheet of devices.
pub const GATEWAY_MODEL: &str = "GATEWAY";

const DATA: &str = include_str!("../../data/device-catalogue.csv");
const HEADER: &str = "family,model,min_revision,cloud,managed,onprem_or_mesh";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Rich stations with displays.
    Mx,
    /// Simpler stations.
    Bf,
    Gateway,
}

/// A row of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    pub family: Family,
    pub name: String,
    pub min_revision: Revision,
    modes: Vec<Mode>,
}

impl Model {
    pub fn modes(&self) -> &[Mode] {
        &self.modes
    }

    pub fn runs_in(&self, mode: Mode) -> bool {
        self.modes.contains(&mode)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalogue {
    models: Vec<Model>,
}

/// Where the compiled data is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the device catalogue is not `{HEADER}`")]
struct BadLine {
    line: usize,
}

/// The catalogue this program was built with.
pub fn compiled() -> &'static Catalogue {
    static COMPILED: LazyLock<Catalogue> = LazyLock::new(|| {
        Catalogue::read(DATA).expect("the data is part of the program and a test reads it")
    });
    &COMPILED
}

impl Catalogue {
    /// Upper and lower case and the number of spaces do not matter.
    pub fn model(&self, name: &str) -> Option<&Model> {
        self.models
            .iter()
            .find(|model| same_name(&model.name, name))
    }

    pub fn models(&self) -> &[Model] {
        &self.models
    }

    fn read(data: &str) -> Result<Self, BadLine> {
        let mut lines = data.lines().enumerate();
        if lines.next().map(|(_, header)| header) != Some(HEADER) {
            return Err(BadLine { line: 1 });
        }
        let mut models = lines
            .map(|(index, line)| read_line(line).ok_or(BadLine { line: index + 1 }))
            .collect::<Result<Vec<_>, _>>()?;
        models.push(Model {
            family: Family::Gateway,
            name: GATEWAY_MODEL.to_owned(),
            min_revision: Revision::FIRST,
            modes: vec![Mode::Bridge],
        });
        Ok(Self { models })
    }
}

fn read_line(line: &str) -> Option<Model> {
    let fields: Vec<&str> = line.split(',').collect();
    let [family, name, revision, flags @ ..] = fields.as_slice() else {
        return None;
    };
    let [cloud, managed, on_prem_mesh] = *flags else {
        return None;
    };
    let offered = [
        (Mode::Cloud, flag(cloud)?),
        (Mode::Managed, flag(managed)?),
        (Mode::OnPremMesh, flag(on_prem_mesh)?),
    ];
    Some(Model {
        family: match *family {
            "mx" => Family::Mx,
            "bf" => Family::Bf,
            _ => return None,
        },
        name: (*name).to_owned(),
        min_revision: revision.parse().ok()?,
        modes: offered
            .into_iter()
            .filter_map(|(mode, offered)| offered.then_some(mode))
            .collect(),
    })
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

fn same_name(a: &str, b: &str) -> bool {
    let mut a = a.split_whitespace();
    let mut b = b.split_whitespace();
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if a.eq_ignore_ascii_case(b) => {}
            (Some(_), Some(_)) | (Some(_), None) | (None, Some(_)) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d1_the_compiled_table_is_whole() {
        let catalogue = Catalogue::read(DATA).unwrap();
        let count = |family| {
            let of_family = catalogue.models().iter().filter(|m| m.family == family);
            of_family.count()
        };
        assert_eq!((count(Family::Mx), count(Family::Bf)), (25, 33));
        for (place, model) in catalogue.models().iter().enumerate() {
            assert!(!model.modes().is_empty(), "{} runs in no mode", model.name);
            let earlier = &catalogue.models()[..place];
            assert!(
                earlier.iter().all(|m| !same_name(&m.name, &model.name)),
                "{} stands twice",
                model.name
            );
        }
    }

    #[test]
    fn d1_rows_read_as_the_sheets_print_them() {
        let td = compiled().model("ID5 TD CM-B").unwrap();
        assert_eq!(td.min_revision.to_string(), "AL");
        assert_eq!(td.modes(), [Mode::Cloud, Mode::Managed, Mode::OnPremMesh]);
        let amplifier = compiled().model("af  500h").unwrap();
        assert_eq!(amplifier.modes(), [Mode::Managed]);
        let station = compiled().model("SIP-WS 203V").unwrap();
        assert_eq!(station.modes(), [Mode::Cloud, Mode::Managed]);
        assert_eq!(compiled().model("ID5"), None);
        assert_eq!(compiled().model("ID5 TD CM-B X"), None);
    }

    #[test]
    fn a_gateway_bridges_and_does_nothing_else() {
        assert_eq!(
            compiled().model(GATEWAY_MODEL).unwrap().modes(),
            [Mode::Bridge]
        );
        let others = compiled()
            .models()
            .iter()
            .filter(|m| m.family != Family::Gateway);
        assert!(others.into_iter().all(|m| !m.runs_in(Mode::Bridge)));
    }

    #[test]
    fn a_broken_table_names_its_line() {
        let data = format!("{HEADER}\nmx,A,AA,1,1,1\nmx,B,AA,1,1\n");
        assert_eq!(Catalogue::read(&data), Err(BadLine { line: 3 }));
        assert_eq!(Catalogue::read("family"), Err(BadLine { line: 1 }));
    }
}
