//! What the codecs of a transcoded call cost with nothing around them: what is below it, only
//! other codecs could save.

use std::hint::black_box;

use anyhow::{Result, bail};
use clap::Args;
use nix::time::{ClockId, clock_gettime};

use crate::material::{Codec, Material, bridged};
use crate::report::{Line, per};

#[derive(Args, Debug)]
pub(crate) struct Bare {
    /// Two codecs, the caller's and the callee's.
    #[arg(long, value_enum, value_delimiter = ',')]
    codecs: Vec<Codec>,
    /// Of Opus, 0 to 10.
    #[arg(long, default_value_t = 5)]
    complexity: u8,
    #[arg(long, default_value = "codecs alone")]
    name: String,
}

impl Bare {
    pub(crate) fn run(self) -> Result<()> {
        let [caller, callee] = self.codecs[..] else {
            bail!("give two codecs: --codecs g722,opus");
        };
        let materials = [Material::new(caller)?, Material::new(callee)?];
        let mut spent = f64::INFINITY;
        for _ in 0..3 {
            let before = cpu_seconds()?;
            for (material, to) in materials.iter().zip([callee, caller]) {
                black_box(bridged(material, to, self.complexity)?);
            }
            spent = spent.min(cpu_seconds()? - before);
        }
        let seconds = materials[0].payloads.len() as f64 / 50.0;
        let cores = spent / seconds;
        Line::new("bare", &self.name)
            .with("complexity", self.complexity)
            .with("cpu_pct_per_100_calls", cores * 1e4)
            .with("calls_per_core", per(1.0, cores))
            .print();
        Ok(())
    }
}

/// Of this thread, so that other work on the machine does not count.
fn cpu_seconds() -> Result<f64> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
    Ok(time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9)
}
