//! `flowlet eval --per`: how well a model tells anomalous groups of readings from normal ones.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use flowlet::Assessment;

use super::files::feature_names;
use crate::cli::EvalArgs;
use crate::data::{DataError, Names, Readings, Roles, Source, Table};
use crate::groups::{GroupCalibration, GroupError, lowest_rate};
use crate::model::Model;
use crate::report::{GroupEvaluation, Kind, Measures};
use crate::scoring::assess;

/// What whole groups are judged by, checked before anything is scored, and the groups of the readings that are.
pub(super) struct Groups<'a> {
    args: &'a EvalArgs,
    column: &'a str,
    position: usize,
    names: Names,
    of_rows: Vec<usize>,
    anomalous: Vec<bool>,
    /// The kind of each group, where readings are of kinds.
    kinds: Vec<String>,
    normal: Readings,
    file: String,
}

impl<'a> Groups<'a> {
    /// Those of the readings that `source` has; `None` if they are not asked for.
    pub(super) fn new(args: &'a EvalArgs, model: &Model, source: &dyn Source) -> Result<Option<Self>> {
        let Some(column) = args.groups.per.as_deref() else { return Ok(None) };
        let position = source.column(column, Some("--per"))?;
        let Some(path) = args.groups.calibration.as_deref() else {
            bail!(
                "--per {column}: whole groups are calibrated by normal groups that the model was not trained on: name a CSV file of them, with the column `{column}`, with --calibration FILE (`flowlet fit --group {column} --held-back FILE` writes those that it held back)"
            );
        };
        let (names, of_rows, anomalous, kinds) = Default::default();
        let (normal, file) = (normal(args, model, column, path)?, path.display().to_string());
        Ok(Some(Self { args, column, position, names, of_rows, anomalous, kinds, normal, file }))
    }

    /// Takes the next readings, their labels, and the column of their kinds, if there is one.
    pub(super) fn push(&mut self, block: &Table, anomalous: &[bool], by: Option<usize>) -> Result<()> {
        for (row, anomalous) in anomalous.iter().enumerate() {
            let name = block.text(row, self.position);
            let here = || format!("{}:{}: column", block.file(), block.place(row));
            if name.is_empty() {
                bail!("{} `{}`: is empty, so this reading has no group (--per)", here(), self.column);
            }
            let group = self.names.number(&name);
            let is_new = group == self.anomalous.len();
            if is_new {
                self.anomalous.push(false);
            }
            self.anomalous[group] |= anomalous;
            self.of_rows.push(group);
            let Some(by) = by else { continue };
            let kind = block.text(row, by);
            if is_new {
                self.kinds.push(kind.into_owned());
            } else if self.kinds[group] != kind {
                bail!(
                    "{} `{}`: group `{name}` has `{kind}` here and `{}` before, but a group is of one kind (name another column with --by or --per)",
                    here(),
                    block.columns()[by],
                    self.kinds[group],
                );
            }
        }
        Ok(())
    }

    /// The report, of what the model, and its twin if there is one, said of the readings.
    pub(super) fn evaluate(
        &self,
        model: (&Model, &[Assessment]),
        twin: Option<(&Model, &[Assessment])>,
    ) -> Result<GroupEvaluation> {
        let (judged, calibration) = self.judge(model)?;
        let twin = twin.map(|twin| anyhow::Ok(Measures::new(&self.judge(twin)?.0, &self.anomalous))).transpose()?;
        let mut kinds = Names::default();
        let of_groups: Vec<usize> = self.kinds.iter().map(|kind| kinds.number(kind)).collect();
        let by = self.args.by.as_ref().map(|_| {
            let kind =
                |(number, name): (usize, String)| (name, Kind::new(&judged, &self.anomalous, &of_groups, number));
            kinds.in_order().into_iter().enumerate().map(kind).collect::<BTreeMap<_, _>>()
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
        let judged = aggregate.scores(said, &self.of_rows, self.names.count(), view).into_iter().map(judge).collect();
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
