//! The rows of a large company: fifty projects, a thousand sites, devices that differ.

use std::fmt::Write as _;

/// Tables and their rows, as `COPY` of PostgreSQL reads them: tabs between the columns.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) tables: Vec<(&'static str, &'static str, String)>,
}

const PROJECTS: u32 = 50;
const SITES: u32 = 1000;

/// Twenty models, most of them frequent ones.
const MODELS: [&str; 20] = [
    "OD1 CM-B",
    "ID5 TD",
    "ID5 TD CM",
    "ID8 TD",
    "ID8 TD CM",
    "IM1",
    "IM3",
    "IM6",
    "GATEWAY",
    "ET 908A",
    "EE 900A",
    "WS 201P V",
    "WS 203P V",
    "SIP-WS 203V",
    "AF 20H",
    "AF 50H",
    "AF 125H",
    "AF 250H",
    "AF 500H",
    "OD5",
];

/// What stands for the company's id until it is known.
pub(super) const COMPANY: &str = "{company}";

fn id(prefix: &str, number: u32) -> String {
    // Digits of the number are digits of a ULID, too; scattered, as those of claims over years are.
    let scattered = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{prefix}-0{scattered:020}{number:05}")
}

impl Rows {
    pub(super) fn of(devices: u32) -> Self {
        let mut projects = String::new();
        for number in 0..PROJECTS {
            let id = id("pr", number);
            let _ = writeln!(
                projects,
                "{id}\t{COMPANY}\tProject {number}\tproject {number}\t{{}}\t1\t1"
            );
        }
        let mut sites = String::new();
        for number in 0..SITES {
            let (id, project) = (id("si", number), id("pr", number % PROJECTS));
            let _ = writeln!(
                sites,
                "{id}\t{COMPANY}\t{project}\tSite {number}\tsite {number}\tUTC\t\t{{}}\t1\t1"
            );
        }
        let (mut all, mut twins) = (String::new(), String::new());
        for number in 0..devices {
            let device = id("de", number);
            let site = number.wrapping_mul(7919) % SITES;
            let model = MODELS[(number % 20).min(number % 7) as usize];
            let wing = ["west", "east", "north", "south"][(number % 4) as usize];
            let name = format!("Door {number} floor {} {wing} wing", number % 9);
            let serial = format!("SN{number:07}");
            // 95 of 100 online, one never seen.
            let presence = match number % 100 {
                0 => "never_seen",
                1..5 => "offline",
                _ => "online",
            };
            let attention = u32::from(number % 97 == 0);
            let _ = writeln!(
                all,
                "{device}\t{COMPANY}\t{}\t{}\t1\t1\t{name}\t{}\t{model}\t{serial}\tAB\tcloud\t\
                 04.06.01.{:02}\t{presence}\t{number}\t{attention}\t{}",
                id("pr", site % PROJECTS),
                id("si", site),
                name.to_lowercase(),
                number % 5,
                format!("{name} {serial} {device}").to_lowercase(),
            );
            let _ = writeln!(
                twins,
                "{device}\t{{\"audio\":{{\"volume\":70}}}}\t1\t{{\"audio\":{{\"volume\":70}}}}\t1\t1\t[]"
            );
        }
        Self {
            tables: vec![
                (
                    "project",
                    "id, company_id, name, name_key, metadata, version, created",
                    projects,
                ),
                (
                    "site",
                    "id, company_id, project_id, name, name_key, time_zone, address, metadata,
                     version, created",
                    sites,
                ),
                (
                    "device",
                    "id, company_id, project_id, site_id, version, created, name, name_key, model,
                     serial_number, revision, mode, firmware, presence, since, attention, search",
                    all,
                ),
                (
                    "twin",
                    "device_id, desired, desired_rev, reported, reported_at, applied_rev,
                     applied_errors",
                    twins,
                ),
            ],
        }
    }
}
