//! `flowlet sample`: readings as the model believes in them.

use std::io;
use std::process::ExitCode;

use anyhow::Result;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::files::{feature_names, read_model_without_context};
use super::output::to_stdout;
use crate::cli::SampleArgs;

pub fn run(args: &SampleArgs) -> Result<ExitCode> {
    let model = read_model_without_context(&args.model)?;
    let scorer = model.scorer();
    let mut rng = ChaCha8Rng::seed_from_u64(args.seed);
    to_stdout(|stdout| {
        let mut writer = csv::Writer::from_writer(stdout);
        writer.write_record(feature_names(&model)).map_err(system)?;
        for _ in 0..args.count {
            let reading = scorer.sample(&mut rng, &[]);
            // A number that reads back as the same number, in as few digits as that takes.
            writer.write_record(reading.iter().map(|value| format!("{value:?}"))).map_err(system)?;
        }
        writer.flush()
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The system's own error, by which a reader that has gone is known.
fn system(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}
