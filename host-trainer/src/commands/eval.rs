//! `flowlet eval`: how well a model tells anomalies from normal readings.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};

use super::eval_groups::Groups;
use super::files::{feature_names, read_model, read_twin};
use super::output::Output;
use crate::cli::EvalArgs;
use crate::data::{self, Matrix, Names, Table, for_each_block};
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
    let mut source = data::open(&args.readings)?;
    let needed_by = format!("a feature of {}", args.model.display());
    let columns = source.columns_of(&features, Some(&needed_by))?;
    let Some(label) = &args.label else {
        let others: Vec<&str> =
            source.columns().iter().map(String::as_str).filter(|name| !features.iter().any(|f| f == name)).collect();
        bail!(
            "{}: eval needs to know which readings are anomalies: name the column that has 1 for them and 0 for normal readings with --label ({})",
            source.file(),
            if others.is_empty() {
                "all columns are features".to_owned()
            } else {
                format!("columns that are no features: {}", others.join(", "))
            }
        );
    };
    let label = source.column(label, Some("--label"))?;
    let by = args.by.as_ref().map(|by| source.column(by, Some("--by"))).transpose()?;
    let twin = read_twin(&args.model, &model);
    let mut groups = Groups::new(args, &model, &*source)?;
    let (mut anomalous, mut kinds, mut of_rows) = (Vec::new(), Names::default(), Vec::new());
    let (mut assessments, mut of_twin) = (Vec::new(), Vec::new());
    for_each_block(&mut *source, |block| -> Result<()> {
        let first = anomalous.len();
        anomalous.extend(block.labels(label)?);
        if let Some(by) = by {
            of_rows.extend((0..block.rows()).map(|row| kinds.number(&block.text(row, by))));
        }
        if let Some(groups) = &mut groups {
            groups.push(&block, &anomalous[first..], by)?;
        }
        let rows: Vec<usize> = (0..block.rows()).collect();
        let readings = block.matrix(&rows, &columns)?;
        assessments.extend(score(&model, &readings, &block)?);
        if let Some(twin) = &twin {
            of_twin.extend(score(twin, &readings, &block)?);
        }
        Ok(())
    })?;
    let by = by.map(|_| {
        let kind = |(number, name): (usize, String)| (name, Kind::new(&assessments, &anomalous, &of_rows, number));
        kinds.in_order().into_iter().enumerate().map(kind).collect::<BTreeMap<_, _>>()
    });
    let per = groups.map(|groups| {
        let twin = twin.as_ref().map(|twin| (twin, &of_twin[..]));
        groups.evaluate((&model, &assessments), twin)
    });
    let per = per.transpose()?;
    let twin = twin.map(|_| Measures::new(&of_twin, &anomalous));
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
        .map_err(|error| anyhow::anyhow!("{}:{}: {}", table.file(), table.place(error.row), error.reason))
}
