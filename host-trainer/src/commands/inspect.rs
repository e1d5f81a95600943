//! `flowlet inspect`: what is in a model file.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

use super::files::read_model;
use super::output::{Output, to_stdout};
use crate::cli::InspectArgs;
use crate::report::{Inspection, to_json};

pub fn run(args: &InspectArgs) -> Result<ExitCode> {
    let json = args.json.as_deref().map(Output::prepare).transpose()?;
    let model = read_model(&args.model)?;
    let file_bytes = fs::metadata(&args.model).with_context(|| args.model.display().to_string())?.len();
    let inspection = Inspection::new(&model, file_bytes);
    if args.json.as_deref() != Some(Path::new("-")) {
        to_stdout(|stdout| write!(stdout, "{inspection}"))?;
    }
    if let Some(json) = json {
        json.write(&to_json(&inspection))?;
    }
    Ok(ExitCode::SUCCESS)
}
