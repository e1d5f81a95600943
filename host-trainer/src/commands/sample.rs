//! `flowlet sample`: readings as the model believes in them.

use std::io;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::files::{feature_names, read_model};
use super::output::to_stdout;
use crate::cli::SampleArgs;

pub fn run(args: &SampleArgs) -> Result<ExitCode> {
    let model = read_model(&args.model)?;
    let scorer = model.scorer();
    if !scorer.samples() {
        bail!("{}: this flow has densities only: its layers have no direction base -> data", args.model.display());
    }
    let names = feature_names(&model);
    let (features, names) = names.split_at(model.architecture().features);
    let context = context(args, names)?;
    let mut rng = ChaCha8Rng::seed_from_u64(args.seed);
    to_stdout(|stdout| {
        let mut writer = csv::Writer::from_writer(stdout);
        writer.write_record(features).map_err(system)?;
        for _ in 0..args.count {
            let reading = scorer.sample(&mut rng, &context);
            // A number that reads back as the same number, in as few digits as that takes.
            writer.write_record(reading.iter().map(|value| format!("{value:?}"))).map_err(system)?;
        }
        writer.flush()
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The values of the context, in the model's order.
fn context(args: &SampleArgs, names: &[String]) -> Result<Vec<f32>> {
    let file = args.model.display();
    if let Some((name, _)) = args.context.iter().find(|(name, _)| !names.contains(name)) {
        let known =
            if names.is_empty() { "it takes none".to_owned() } else { format!("it takes {}", names.join(", ")) };
        bail!("--context {name}: {file} takes no such context value ({known})");
    }
    names
        .iter()
        .map(|wanted| {
            let given = args.context.iter().find(|(name, _)| name == wanted);
            given.map(|(_, value)| *value).with_context(|| {
                format!("{file} needs the context value `{wanted}`: give it with --context {wanted}=VALUE")
            })
        })
        .collect()
}

/// The system's own error, by which a reader that has gone is known.
fn system(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}
