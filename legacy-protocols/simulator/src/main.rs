//! `antiphon-site`: a legacy site to hold in the hand.
#![expect(clippy::print_stdout, reason = "a program for people at a terminal")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use simulator::program::{DEMO, Settings, SiteFile, run};

/// An older intercom server with its stations, doors and desks, to try a gateway against.
///
/// Without a file it is a small works. Press its buttons on the page, or by orders from the
/// terminal or the control socket (`help` lists them).
#[derive(Debug, Parser)]
#[command(name = "antiphon-site", version)]
struct Arguments {
    /// The site (TOML); without it, the one that is built in
    site: Option<PathBuf>,
    /// Where the page is
    #[arg(long, default_value = "127.0.0.1:18400", value_name = "ADDRESS")]
    page: SocketAddr,
    /// No page
    #[arg(long, conflicts_with = "page")]
    no_page: bool,
    /// A Unix socket that takes orders
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
    /// Take orders from standard input; its end ends the site
    #[arg(long)]
    orders: bool,
    /// Let a line of the file listen on TCP here instead
    #[arg(long, value_name = "LINE=ADDRESS", value_parser = moved)]
    listen: Vec<(String, SocketAddr)>,
    /// The seed of all chance
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print the site that is built in, as a file to begin with
    #[arg(long)]
    print_demo: bool,
}

fn moved(text: &str) -> Result<(String, SocketAddr), String> {
    let moved = text.split_once('=').and_then(|(line, address)| {
        let address = address.parse().ok()?;
        Some((line.to_owned(), address))
    });
    moved.ok_or_else(|| "LINE=ADDRESS:PORT is needed, such as gateway=127.0.0.1:18480".to_owned())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.print_demo {
        print!("{DEMO}");
        return ExitCode::SUCCESS;
    }
    match start(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: Arguments) -> Result<()> {
    let text = match &arguments.site {
        None => DEMO.to_owned(),
        Some(path) => std::fs::read_to_string(path).with_context(|| path.display().to_string())?,
    };
    let mut site = SiteFile::read(&text).context("this is no site")?;
    for (line, to) in &arguments.listen {
        site.set_listen(line, *to)?;
    }
    let settings = Settings {
        site,
        seed: arguments.seed,
        control: arguments.control,
        page: (!arguments.no_page).then_some(arguments.page),
        terminal: arguments.orders,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(run(settings, |places| {
        for place in places {
            println!("{place}");
        }
        println!("ready");
    }));
    // A read of the terminal cannot be given up.
    runtime.shutdown_background();
    ended
}
