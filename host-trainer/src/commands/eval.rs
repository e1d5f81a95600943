//! `flowlet eval`: how well a model tells anomalies from normal readings.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};

use super::eval_groups::Groups;
use super::files::{feature_names, read_model, read_twin};
use super::output::Output;
use crate::cli::EvalArgs;
use crate::data::{Matrix, Table};
use crate::model::Model;
use crate::report::{Evaluation, Kind, Measures, to_json};
use crate::scoring::assess;

pub fn run(args: &EvalArgs) -> Result<ExitCode> {
    let json = args.json.as_deref().map(Output::prepare).transpose()?;
    let model = read_model(&args.model)?;
    let features = feature_names(&model);
    if let Some(feature) = args.ignore.iter().find(|name| features.contains(name)) {
        bail!("--ignore {feature}: {} has it as a feature and cannot do without", args.model.display());
    }
    let table = Table::read(&args.readings)?;
    let needed_by = format!("a feature of {}", args.model.display());
    let columns = table.columns_of(&features, Some(&needed_by))?;
    let Some(label) = &args.label else {
        let others: Vec<&str> =
            table.columns().iter().map(String::as_str).filter(|name| !features.iter().any(|f| f == name)).collect();
        bail!(
            "{}: eval needs to know which readings are anomalies: name the column that has 1 for them and 0 for normal readings with --label ({})",
            table.file(),
            if others.is_empty() {
                "all columns are features".to_owned()
            } else {
                format!("columns that are no features: {}", others.join(", "))
            }
        );
    };
    let anomalous = table.labels(table.column(label, Some("--label"))?)?;
    let kinds = args.by.as_ref().map(|by| table.column(by, Some("--by"))).transpose()?.map(|by| table.groups(by));
    let rows: Vec<usize> = (0..table.rows()).collect();
    let readings = table.matrix(&rows, &columns)?;

    let groups = Groups::read(args, &model, &table, &anomalous, kinds.as_ref())?;

    let assessments = score(&model, &readings, &table)?;
    let by = kinds.map(|(names, of_rows)| {
        let kind = |(number, name): (usize, String)| (name, Kind::new(&assessments, &anomalous, &of_rows, number));
        names.into_iter().enumerate().map(kind).collect::<BTreeMap<_, _>>()
    });
    let twin = match read_twin(&args.model, &model) {
        Some(twin) => Some((score(&twin, &readings, &table)?, twin)),
        None => None,
    };
    let twin = twin.as_ref().map(|(said, twin)| (twin, &said[..]));
    let per = groups.map(|groups| groups.evaluate((&model, &assessments), twin)).transpose()?;
    let twin = twin.map(|(_, said)| Measures::new(said, &anomalous));
    let evaluation = Evaluation { model: Measures::new(&assessments, &anomalous), twin, by, per };
    if evaluation.model.auroc.is_none() {
        let missing = if evaluation.model.anomalies == 0 { 1 } else { 0 };
        eprintln!("note: no reading is labelled {missing}: what compares anomalies with normal readings is left out");
    }
    if args.json.as_deref() != Some(Path::new("-")) {
        super::output::to_stdout(|stdout| write!(stdout, "{evaluation}"))?;
    }
    if let Some(json) = json {
        json.write(&to_json(&evaluation))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn score(model: &Model, readings: &Matrix, table: &Table) -> Result<Vec<flowlet::Assessment>> {
    assess(model, readings)
        .map_err(|error| anyhow::anyhow!("{}:{}: {}", table.file(), table.line(error.row), error.reason))
}
