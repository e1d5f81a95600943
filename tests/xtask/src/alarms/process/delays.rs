//! Delays to detection by several decision rules on the same scores, at the same rate of false alarms.

use anyhow::{Context, Result};
use flowlet::calibration::CalibrationView;
use flowlet_trainer::calibrate::Calibrated;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::super::plot::{Axis, Panel, in_percent};
use super::super::{FALSE_ALARM_RATE, Markdown, percent};
use super::Run;
use super::rules::{RELEASE, Rule, SETTINGS, alarm, delay, entries, limits, martingale};

/// Most entries that the normal rows of the other runs may have.
const MOST: usize = 30;

/// Entries in all normal rows that rules are compared at; the last ones by fault, too.
const TARGETS: [usize; 3] = [3, 6, 10];

/// What Ville's inequality promises: martingales of exchangeable rows that ever come to 1/α.
const ALPHAS: [f64; 2] = [0.05, 0.01];

/// How often normal rows are shuffled for comparison.
const SHUFFLES: usize = 100;

/// A rule by budget: by how many entries the other runs set the limits of each.
struct Judged {
    rule: Rule,
    budgets: Vec<Outcome>,
}

/// What becomes of all runs at one budget.
#[derive(Clone, Debug, Default)]
struct Outcome {
    /// Entries before the faults.
    entries: usize,
    /// Rows before the faults in which the alarm is on.
    on_before: usize,
    runs: Vec<Verdict>,
}

/// What becomes of a run.
#[derive(Clone, Debug)]
struct Verdict {
    /// Rows from the onset to the first alarm.
    delay: Option<usize>,
    /// Whether an alarm was on when the fault began.
    begun: bool,
    /// The share of rows with the fault in which the alarm is on.
    on: f64,
}

impl Outcome {
    /// The median delay over these runs; one without an alarm has the longest.
    fn median(&self, counts: impl Fn(usize) -> bool) -> Option<usize> {
        let runs = self.runs.iter().enumerate().filter(|(number, _)| counts(*number));
        let mut delays: Vec<usize> = runs.map(|(_, run)| run.delay.unwrap_or(usize::MAX)).collect();
        delays.sort_unstable();
        delays.get(delays.len() / 2).copied().filter(|delay| *delay < usize::MAX)
    }

    /// Whether no alarm was on when a run's fault began.
    fn is_clean(&self, number: usize) -> bool {
        !self.runs[number].begun
    }

    fn detected(&self) -> usize {
        self.runs.iter().filter(|run| run.delay.is_some() && !run.begun).count()
    }

    fn clean(&self) -> usize {
        (0..self.runs.len()).filter(|number| self.is_clean(*number)).count()
    }

    fn mean_on(&self) -> f64 {
        self.runs.iter().map(|run| run.on).sum::<f64>() / self.runs.len() as f64
    }
}

impl Judged {
    /// The budget at which the normal rows that did not set limits have most nearly so many entries.
    fn at(&self, target: usize) -> (usize, &Outcome) {
        let nearest = self.budgets.iter().enumerate().min_by_key(|(_, outcome)| outcome.entries.abs_diff(target));
        nearest.expect("there are budgets")
    }
}

/// How often martingales of normal rows come to 1/α.
struct Ville {
    alpha: f64,
    /// Runs in their order.
    runs: usize,
    /// Mean share when rows are shuffled among all runs.
    shuffled: f64,
}

/// What the comparison found.
pub(super) struct Delays {
    judged: Vec<Judged>,
    ville: Vec<Ville>,
    normal: usize,
    /// Rows of a run with the fault, at the least.
    faulty: usize,
}

/// P-values by normal scores: counts, as a device has them.
struct Counted(Vec<f32>, Vec<u32>, u32);

impl Counted {
    fn new(normal: &[f32]) -> Result<Self> {
        let Calibrated { knots, rows, .. } = Calibrated::new(normal, FALSE_ALARM_RATE)?;
        let (scores, above) = knots.into_iter().unzip();
        Ok(Self(scores, above, rows))
    }

    fn p_values(&self, scores: &[f32]) -> Vec<f32> {
        let (threshold, false_alarm_rate) = (f32::MAX, FALSE_ALARM_RATE);
        let Self(knots, above, rows) = self;
        let calibration = CalibrationView { scores: knots, above, rows: *rows, threshold, false_alarm_rate };
        scores.iter().map(|score| SETTINGS.p_value(&calibration, *score)).collect()
    }
}

impl Delays {
    /// Judges each run by limits that the normal rows of all others set. P-values, too, are by other runs only: those of a run that sets a limit
    /// by all but itself and the one that is judged.
    pub(super) fn new(scores: &[f32], runs: &[Run]) -> Result<Self> {
        let normal = |run: &Run| &scores[run.rows.start..run.onset];
        let all_but = |left_out: &[usize]| -> Vec<f32> {
            let kept = runs.iter().enumerate().filter(|(number, _)| !left_out.contains(number));
            kept.flat_map(|(_, run)| normal(run).to_vec()).collect()
        };
        let mut judged: Vec<Judged> =
            Rule::ALL.map(|rule| Judged { rule, budgets: vec![Outcome::default(); MOST + 1] }).into();
        for (number, run) in runs.iter().enumerate() {
            let own = &scores[run.rows.clone()];
            let p_values = Counted::new(&all_but(&[number]))?.p_values(own);
            let others = runs.iter().enumerate().filter(|(other, _)| *other != number);
            let others = others
                .map(|(other, run)| Ok((normal(run), Counted::new(&all_but(&[number, other]))?.p_values(normal(run)))))
                .collect::<Result<Vec<_>>>()?;
            let onset = run.onset - run.rows.start;
            for Judged { rule, budgets } in &mut judged {
                let setting: Vec<Vec<f32>> = others.iter().map(|(scores, p)| rule.statistic(scores, p)).collect();
                let setting: Vec<&[f32]> = setting.iter().map(Vec::as_slice).collect();
                let statistic = rule.statistic(own, &p_values);
                for (outcome, limit) in budgets.iter_mut().zip(limits(&setting, MOST)) {
                    let on = alarm(&statistic, limit);
                    let share = on[onset..].iter().filter(|on| **on).count() as f64 / (on.len() - onset) as f64;
                    outcome.entries += entries(&statistic[..onset], limit);
                    outcome.on_before += on[..onset].iter().filter(|on| **on).count();
                    let delay = delay(&statistic, onset, limit);
                    outcome.runs.push(Verdict { delay, begun: on[onset - 1], on: share });
                }
            }
        }
        let faulty = runs.iter().map(|run| run.rows.end - run.onset).min().context("there are no runs")?;
        let runs: Vec<&[f32]> = runs.iter().map(normal).collect();
        Ok(Self { judged, ville: ville(&runs)?, normal: runs.iter().map(|run| run.len()).sum(), faulty })
    }

    /// For each run, whether its fault began without an alarm under every rule.
    fn clean_under_all(&self, target: usize) -> Vec<bool> {
        let runs = 0..self.judged[0].at(target).1.runs.len();
        runs.map(|number| self.judged.iter().all(|judged| judged.at(target).1.is_clean(number))).collect()
    }

    /// Median delays over realized rates, a line for each rule.
    pub(super) fn panel(&self, minutes: f64) -> Panel {
        let rate = |entries: usize| entries as f64 / self.normal as f64;
        let line = |judged: &Judged| {
            let points = judged.budgets.iter().filter(|outcome| outcome.entries > 0).filter_map(|outcome| {
                let median = outcome.median(|number| outcome.is_clean(number))?;
                Some((rate(outcome.entries), median as f64 * minutes))
            });
            (judged.rule.name(), points.collect())
        };
        let longest = self.faulty as f64 * minutes;
        Panel {
            title: "delay of the median fault".to_owned(),
            lines: self.judged.iter().map(line).collect(),
            band: Vec::new(),
            axes: [
                Axis { name: "false alarms per row", range: (0.8 * rate(1), rate(2 * MOST)), show: in_percent },
                Axis { name: "minutes", range: (minutes, longest), show: |minutes| format!("{minutes}") },
            ],
            diagonal: false,
        }
    }

    /// The section of the report.
    pub(super) fn report(&self, text: &mut Markdown, runs: &[Run], minutes: f64) {
        let rows = |entries: usize| self.normal as f64 / entries as f64;
        text.text("## Delays at equal rates of false alarms");
        text.text(&format!(
            "The flow's scores, judged by five rules. An alarm begins where a rule's statistic passes its limit, and ends after {RELEASE} rows in \
a row at or below it; a false alarm is a beginning before the fault, counted once however long it lasts. Limits are cross-fitted: each run is judged by \
the lowest limit that lets the normal rows of all other runs raise no more than so many alarms, its budget, and false alarms are counted on its own rows before \
the fault, which had no part in that: {} rows in all runs together, so one alarm more or less is a rate of {} per row, and where 10 are \
expected chance alone makes 4 to 17. P-values are counts among the normal rows of other runs, {} at the least. The CUSUM and the martingale are those that the monitor has on a \
device (`flowlet::monitor::Evidence`), with the reference and the cap that `flowlet monitor` writes.",
            self.normal,
            percent(1.0 / self.normal as f64),
            percent(1.0 / (self.normal as f64 * (1.0 - 1.0 / runs.len() as f64) + 1.0)),
        ));
        text.text(&format!(
            "For each rule the budget is taken at which it realizes most nearly {} false alarms. Whatever is blind to faults alarms at that rate \
too: after {} minutes in half of the runs, and in {} of them before the end. A false alarm counts once, so a statistic that stays high for long after \
one is cheap by this count; `on before` is the share of rows before the fault in which the alarm is on, `on` the mean share of rows with the fault. A \
fault that begins while the alarm is on is detected by luck, so it has no part in a rule's count of faults, nor in its median delay: from the onset to the \
first row above the limit, in minutes, those without an alarm being the longest. `same faults` is the median over those that have a part under all five rules.",
            TARGETS.map(|target| target.to_string()).join(", "),
            TARGETS.map(|target| format!("{:.0}", rows(target) * 2.0_f64.ln() * minutes)).join(", "),
            TARGETS.map(|target| percent(1.0 - (-(self.faulty as f64) / rows(target)).exp())).join(", "),
        ));
        let share = |rows: usize| percent(rows as f64 / self.normal as f64);
        let mut lines = Vec::new();
        for target in TARGETS {
            let common = self.clean_under_all(target);
            for judged in &self.judged {
                let (budget, outcome) = judged.at(target);
                let same = outcome.median(|number| common[number]);
                lines.push(vec![
                    judged.rule.name(),
                    format!("{budget}"),
                    format!("{}", outcome.entries),
                    share(outcome.entries),
                    share(outcome.on_before),
                    format!("{} of {}", outcome.detected(), outcome.clean()),
                    in_minutes(outcome.median(|number| outcome.is_clean(number)), minutes),
                    format!("{} ({})", in_minutes(same, minutes), common.iter().filter(|common| **common).count()),
                    percent(outcome.mean_on()),
                ]);
            }
        }
        let heads = [
            "rule",
            "budget",
            "false alarms",
            "per row",
            "on before",
            "faults with an alarm",
            "median delay",
            "same faults",
            "on",
        ];
        text.table(&heads, lines);
        text.text(&format!(
            "Delays by fault, at {} false alarms; with * the alarm was on already when the fault began.",
            TARGETS[2]
        ));
        let at: Vec<&Outcome> = self.judged.iter().map(|judged| judged.at(TARGETS[2]).1).collect();
        let names: Vec<String> = Rule::ALL.map(Rule::name).into();
        let heads: Vec<&str> = ["fault"].into_iter().chain(names.iter().map(String::as_str)).collect();
        let mut lines: Vec<Vec<String>> = Vec::new();
        for (number, run) in runs.iter().enumerate() {
            let cell = |outcome: &&Outcome| {
                let Verdict { delay, begun, .. } = outcome.runs[number];
                in_minutes(delay, minutes) + if begun { "*" } else { "" }
            };
            lines.push([run.name.clone()].into_iter().chain(at.iter().map(cell)).collect());
        }
        let median = |outcome: &&Outcome| outcome.median(|number| outcome.is_clean(number));
        let medians = at.iter().map(|outcome| format!("**{}**", in_minutes(median(outcome), minutes)));
        lines.push(["**median**, without *".to_owned()].into_iter().chain(medians).collect());
        text.table(&heads, lines);
        text.text(
            "The martingale's own promise is another: by Ville's inequality no more than a share α of sequences that are exchangeable with the \
calibration ever comes to 1/α, without a limit that data sets. Rows before a fault are correlated in time, and so they are not exchangeable one by one; \
the same rows, shuffled among all runs, are.",
        );
        let lines = self.ville.iter().map(|ville| {
            let share = percent(ville.runs as f64 / runs.len() as f64);
            vec![
                percent(ville.alpha),
                format!("{} of {} ({share})", ville.runs, runs.len()),
                format!("{} ({SHUFFLES} times)", percent(ville.shuffled)),
            ]
        });
        text.table(&["α", "runs whose normal rows come to 1/α", "shuffled"], lines.collect::<Vec<_>>());
    }
}

fn in_minutes(rows: Option<usize>, minutes: f64) -> String {
    rows.map_or_else(|| "-".to_owned(), |rows| format!("{:.0}", rows as f64 * minutes))
}

/// How many of the runs of normal scores have a martingale that comes to 1/α, by p-values among all others; and when rows are shuffled.
fn ville(runs: &[&[f32]]) -> Result<Vec<Ville>> {
    let mut pool: Vec<f32> = runs.concat();
    let highest = |pool: &[f32]| -> Result<Vec<f32>> {
        let (mut highest, mut begin) = (Vec::new(), 0);
        for run in runs {
            let end = begin + run.len();
            let others = [&pool[..begin], &pool[end..]].concat();
            let values = martingale(&Counted::new(&others)?.p_values(&pool[begin..end]));
            highest.push(values.into_iter().fold(f32::MIN, f32::max));
            begin = end;
        }
        Ok(highest)
    };
    let in_order = highest(&pool)?;
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut shuffled = Vec::new();
    for _ in 0..SHUFFLES {
        pool.shuffle(&mut rng);
        shuffled.extend(highest(&pool)?);
    }
    let of = |alpha: f64| {
        let count = |highest: &[f32]| highest.iter().filter(|value| f64::from(**value) >= -alpha.ln()).count();
        Ville { alpha, runs: count(&in_order), shuffled: count(&shuffled) as f64 / shuffled.len() as f64 }
    };
    Ok(ALPHAS.map(of).into())
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    /// Six runs of independent scores; the fault of each but the last moves them far up after the onset.
    fn made_up() -> (Vec<f32>, Vec<Run>) {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (mut scores, mut runs) = (Vec::new(), Vec::new());
        for number in 0..6_usize {
            let begin = scores.len();
            scores.extend((0..200).map(|_| rng.random_range(0.0..1.0_f32)));
            scores.extend((0..100).map(|_| rng.random_range(0.0..1.0_f32) + if number < 5 { 10.0 } else { 0.0 }));
            runs.push(Run { name: number.to_string(), rows: begin..begin + 300, onset: begin + 200 });
        }
        (scores, runs)
    }

    #[test]
    fn faults_are_detected_when_their_rule_can() {
        let (scores, runs) = made_up();
        let delays = Delays::new(&scores, &runs).unwrap();
        for judged in &delays.judged {
            let (_, outcome) = judged.at(3);
            // The last has none: what alarms there is false.
            let expected = match judged.rule {
                Rule::Single => 0,
                Rule::OfLast { needed, .. } => needed - 1,
                Rule::Cusum | Rule::Martingale => 20,
            };
            for run in &outcome.runs[..5] {
                assert!(run.begun || run.delay.is_some_and(|delay| delay <= expected), "{:?}: {run:?}", judged.rule);
            }
            assert!(outcome.clean() >= 3 && outcome.detected() <= outcome.clean());
            // Realized on rows that set no limit, the rate is about that of the budget.
            let realized: Vec<usize> = judged.budgets.iter().map(|outcome| outcome.entries).collect();
            assert!(realized[0] <= 6 && realized[20] >= 6, "{:?}: {realized:?}", judged.rule);
        }
    }

    #[test]
    fn independent_rows_keep_the_martingales_promise() {
        let (scores, runs) = made_up();
        let normal: Vec<&[f32]> = runs.iter().map(|run| &scores[run.rows.start..run.onset]).collect();
        for ville in ville(&normal).unwrap() {
            assert!(ville.shuffled <= ville.alpha, "{} of {}", ville.shuffled, ville.alpha);
        }
    }
}
