//! `flowlet eval --per`: how well a model tells anomalous groups of readings from normal ones.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use flowlet::Assessment;

use super::files::feature_names;
use crate::cli::EvalArgs;
use crate::data::{DataError, Readings, Roles, Table};
use crate::groups::{GroupCalibration, GroupError, lowest_rate};
use crate::model::Model;
use crate::report::{GroupEvaluation, Kind, Measures};
use crate::scoring::assess;

/// What whole groups are judged by: read and checked before anything is scored.
pub(super) struct Groups<'a> {
    args: &'a EvalArgs,
    column: &'a str,
    count: usize,
    of_rows: Vec<usize>,
    anomalous: Vec<bool>,
    /// Names of kinds, and the number of each group's.
    kinds: Option<(Vec<String>, Vec<usize>)>,
    normal: Readings,
    file: String,
}

impl<'a> Groups<'a> {
    /// The groups of `table`, whose readings have these labels and kinds; `None` if they are not asked for.
    pub(super) fn read(
        args: &'a EvalArgs,
        model: &Model,
        table: &Table,
        anomalous: &[bool],
        kinds: Option<&(Vec<String>, Vec<usize>)>,
    ) -> Result<Option<Self>> {
        let Some(column) = args.groups.per.as_deref() else { return Ok(None) };
        let position = table.column(column, Some("--per"))?;
        let (names, of_rows) = table.groups(position);
        if let Some(row) = (0..table.rows()).find(|row| table.text(*row, position).is_empty()) {
            bail!(
                "{}:{}: column `{column}`: is empty, so this reading has no group (--per)",
                table.file(),
                table.line(row)
            );
        }
        let Some(path) = args.groups.calibration.as_deref() else {
            bail!(
                "--per {column}: whole groups are calibrated by normal groups that the model was not trained on: name a CSV file of them, with the column `{column}`, with --calibration FILE (`flowlet fit --group {column} --held-back FILE` writes those that it held back)"
            );
        };
        let mut group_anomalous = vec![false; names.len()];
        of_rows.iter().zip(anomalous).for_each(|(group, anomalous)| group_anomalous[*group] |= anomalous);
        let kinds =
            kinds.map(|(kinds, of_kinds)| one_kind(args, table, &names, &of_rows, kinds, of_kinds)).transpose()?;
        Ok(Some(Self {
            args,
            column,
            count: names.len(),
            of_rows,
            anomalous: group_anomalous,
            kinds,
            normal: normal(args, model, column, path)?,
            file: path.display().to_string(),
        }))
    }

    /// The report, of what the model, and its twin if there is one, said of the readings.
    pub(super) fn evaluate(
        &self,
        model: (&Model, &[Assessment]),
        twin: Option<(&Model, &[Assessment])>,
    ) -> Result<GroupEvaluation> {
        let (judged, calibration) = self.judge(model)?;
        let twin = twin.map(|twin| anyhow::Ok(Measures::new(&self.judge(twin)?.0, &self.anomalous))).transpose()?;
        let by = self.kinds.as_ref().map(|(names, of_groups)| {
            let kind = |(number, name): (usize, &String)| {
                (name.clone(), Kind::new(&judged, &self.anomalous, of_groups, number))
            };
            names.iter().enumerate().map(kind).collect::<BTreeMap<_, _>>()
        });
        Ok(GroupEvaluation {
            column: self.column.to_owned(),
            aggregate: self.args.groups.aggregate,
            calibration_groups: calibration.groups(),
            lowest_rate: lowest_rate(calibration.groups()),
            nominal_rate: calibration.rate(),
            model: Measures::new(&judged, &self.anomalous),
            twin,
            by,
        })
    }

    /// What a model says of each group, and by what.
    fn judge(&self, (model, said): (&Model, &[Assessment])) -> Result<(Vec<Assessment>, GroupCalibration)> {
        let aggregate = self.args.groups.aggregate;
        let scorer = model.scorer();
        let view = scorer.calibration();
        if view.rows == 0 {
            bail!("{} has no calibration yet: make one with `flowlet calibrate`", self.args.model.display());
        }
        let normal = assess(model, &self.normal.values).with_context(|| self.file.clone())?;
        let groups = self.normal.groups.as_ref().context("the normal readings have groups")?;
        let scores = aggregate.scores(&normal, &groups.of_rows, groups.count, view);
        // In decimal digits a rate is what was given: 0.01, not the nearest number of 32 bits.
        let decimal = |rate: f32| rate.to_string().parse::<f64>().unwrap_or(rate.into());
        let rate = match self.args.groups.group_false_alarm_rate {
            Some(rate) => decimal(rate),
            None => decimal(view.false_alarm_rate).max(lowest_rate(groups.count)),
        };
        let calibration = GroupCalibration::new(&scores, rate).map_err(|error| match error {
            GroupError::TooFew { .. } => {
                anyhow!("{}: {error} (record more, or raise --group-false-alarm-rate)", self.file)
            }
            other => anyhow!("{}: {other}", self.file),
        })?;
        let judge = |score: f32| Assessment {
            log_prob: -score,
            p_value: calibration.p_value(score) as f32,
            alarm: calibration.alarm(score),
        };
        let judged = aggregate.scores(said, &self.of_rows, self.count, view).into_iter().map(judge).collect();
        Ok((judged, calibration))
    }
}

/// The normal readings that calibrate, with their groups.
fn normal(args: &EvalArgs, model: &Model, column: &str, path: &Path) -> Result<Readings> {
    let table = Table::read(path)?;
    // Here as well, for a message that names the option.
    table.column(column, Some("--per"))?;
    let label = args.label.clone().filter(|label| table.columns().contains(label));
    let roles = Roles { label, group: Some(column.to_owned()), ..Roles::default() };
    let needed_by = format!("a feature of {}", args.model.display());
    Readings::with_columns(&table, &feature_names(model), &needed_by, &roles).map_err(|error| match error {
        DataError::NoNormalRows { .. } => anyhow!("--calibration: {error}"),
        other => other.into(),
    })
}

/// The kind of each group, which all of its readings share.
fn one_kind(
    args: &EvalArgs,
    table: &Table,
    groups: &[String],
    of_rows: &[usize],
    kinds: &[String],
    of_kinds: &[usize],
) -> Result<(Vec<String>, Vec<usize>)> {
    let mut found: Vec<Option<usize>> = vec![None; groups.len()];
    for (row, (group, kind)) in of_rows.iter().zip(of_kinds).enumerate() {
        let first = *found[*group].get_or_insert(*kind);
        if first != *kind {
            let by = args.by.as_deref().unwrap_or_default();
            bail!(
                "{}:{}: column `{by}`: group `{}` has `{}` here and `{}` before, but a group is of one kind (name another column with --by or --per)",
                table.file(),
                table.line(row),
                groups[*group],
                kinds[*kind],
                kinds[first],
            );
        }
    }
    Ok((kinds.to_vec(), found.into_iter().flatten().collect()))
}
