//! antiphon-cloud: the program. All of it is in the library, so that tests reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    cloud_daemon::run()
}
