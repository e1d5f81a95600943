//! What `cargo xtask bench cycles` reports.

use std::ops::RangeInclusive;

use flowlet::Assessment;
use flowlet_trainer::groups::{Aggregate, lowest_rate};
use flowlet_trainer::metrics::{alarm_rate, auroc, average_precision};
use flowlet_trainer::realized::Exceedances;

use super::super::{FALSE_ALARM_RATE, Markdown, percent, ratio};
use super::{Fit, GAIN, Promise, Results, WILD, word};

/// Rates of groups that are realized.
const RATES: [f64; 5] = [0.01, 0.02, 0.05, 0.1, 0.2];

/// What other libraries' models give per cycle: constants, not run by this command.
const PEERS: &str = "zuko's masked autoregressive flow 0.912 and spline flow 0.899, a mixture of 32 normal distributions 0.896, five nearest \
neighbours 0.871, the Mahalanobis distance 0.686";

/// Which counts among `fresh` chance explains, as text.
fn chance(rate: f64, held_back: usize, fresh: usize) -> String {
    let interval = Exceedances::new(rate, held_back, fresh).interval(0.95).map(|(low, high)| low..=high);
    let share = |count: usize| percent(count as f64 / fresh as f64);
    let text = |range: RangeInclusive<usize>| format!("{} .. {}", share(*range.start()), share(*range.end()));
    interval.map_or("-".to_owned(), text)
}

/// The report, as Markdown.
pub(super) fn table(results: &Results<'_>) -> String {
    let Results { fits, best, senses, aggregate, test, normal, .. } = *results;
    let mut text = Markdown::default();
    text.text("# Whole cycles of the rig");
    text.text("```\ncargo xtask bench cycles\n```");
    let healthy = test.group_anomalous.iter().filter(|anomalous| !**anomalous).count();
    text.text(&format!(
        "Flows are fitted as by `fit --group cycle --family NAME` (int8, seed 0) to the normal cycles of the bundled rig, of which {} are held back \
whole; the test file has {} cycles, {healthy} of them healthy. Family and aggregate are chosen without the test file.",
        normal.count,
        test.group_anomalous.len(),
    ));
    text.text("## Which flow");
    text.text(&format!(
        "Nats are the mean log-density of the held-back cycles' seconds, without the hundredth that is farthest off: they choose \
`{}`. Cycles score by `{}`; AUROC is over all faults. Other libraries per cycle (constants, not run by this command): {PEERS}.",
        word(best.family),
        aggregate.name(),
    ));
    let mut sorted: Vec<&Fit> = fits.iter().collect();
    sorted.sort_by(|a, b| b.nats.total_cmp(&a.nats));
    let weak = test.kinds.iter().position(|kind| kind == "pump_leak_weak");
    let row = |fit: &&Fit| {
        let scores: Vec<f32> = fit.test.iter().map(Assessment::score).collect();
        let cycles = fit.cycles(aggregate, test);
        let own = aggregate.scores(&fit.held_back, &normal.of_rows, normal.count, fit.model.scorer().calibration());
        let promise = Promise { name: String::new(), scores: vec![(own, cycles.clone())] };
        let seconds = alarm_rate(&fit.seconds_alarm(), &test.anomalous, false);
        let lowest = lowest_rate(normal.count);
        vec![
            format!("`{}`", word(fit.family)),
            format!("{:.3}", fit.nats),
            fit.model.body().len().to_string(),
            ratio(auroc(&scores, &test.anomalous)),
            ratio(test.auroc(&cycles, None)),
            ratio(average_precision(&cycles, &test.group_anomalous)),
            ratio(weak.and_then(|weak| test.auroc(&cycles, Some(weak)))),
            percent(seconds.unwrap_or(f64::NAN)),
            percent(test.rate(&promise.alarms(lowest), None)),
        ]
    };
    let lowest = percent(lowest_rate(normal.count));
    text.table(
        &[
            "family",
            "nats, held back",
            "bytes",
            "AUROC, seconds",
            "AUROC, cycles",
            "AP, cycles",
            "pump_leak_weak, cycles",
            "realized, seconds at 1 %",
            &format!("realized, cycles at {lowest}"),
        ],
        sorted.iter().map(row).collect::<Vec<_>>(),
    );
    text.text("## Which aggregate");
    text.text(&format!(
        "The choice is by the held-back normal cycles alone: how well each tells them from themselves with one sensor shifted by a half, one and \
two standard deviations up or down, as the mean AUROC over sensors and shifts. The default, `{}`, stays unless another gains more than {GAIN}. \
Beside it stands how many of these cycles a single second, all of whose sensors are {WILD} standard deviations off, lifts above all of them. What each \
gives on the test chose nothing.",
        Aggregate::default().name(),
    ));
    let rows = senses.iter().map(|sense| {
        let cycles = best.cycles(sense.aggregate, test);
        vec![
            format!("`{}`", sense.aggregate.name()),
            format!("{:.4}", sense.shifted),
            percent(sense.wild),
            ratio(test.auroc(&cycles, None)),
            ratio(weak.and_then(|weak| test.auroc(&cycles, Some(weak)))),
        ]
    });
    text.table(
        &["aggregate", "AUROC, shifted sensors", "alarms by one wild second", "AUROC, test", "pump_leak_weak, test"],
        rows.collect::<Vec<_>>(),
    );
    rates(&mut text, results, healthy);
    faults(&mut text, results);
    text.text("![expected against realized rates of healthy cycles](cycles.svg)");
    text.0.trim_end().to_owned() + "\n"
}

/// What is realized on healthy cycles, by the way of calibration.
fn rates(text: &mut Markdown, results: &Results<'_>, healthy: usize) {
    let Results { best, promises, by_seconds, test, .. } = *results;
    text.text("## Realized rates");
    text.text(&format!("Calibrated by seconds, at a nominal {}:", percent(FALSE_ALARM_RATE.into())));
    let row = |name: &str, said: &[Assessment]| {
        let alarms: Vec<bool> = said.iter().map(|said| said.alarm).collect();
        let seconds = alarm_rate(&alarms, &test.anomalous, false).unwrap_or(f64::NAN);
        let mut any = vec![false; test.group_anomalous.len()];
        alarms.iter().zip(&test.of_rows).for_each(|(alarm, group)| any[*group] |= *alarm);
        vec![name.to_owned(), percent(seconds), percent(test.rate(&any, None))]
    };
    text.table(
        &["held back", "healthy seconds that alarm", "healthy cycles with a second that does"],
        [row("seconds drawn at random", by_seconds), row("the seconds of whole cycles", &best.test)],
    );
    text.text(&format!(
        "Calibrated by cycles, with the 95 % interval that chance leaves for as many cycles and {healthy} healthy ones:"
    ));
    let nominal: Vec<String> = RATES.iter().map(|rate| percent(*rate)).collect();
    let heads: Vec<&str> = ["calibrated by", "cycles", "lowest rate", "realized there"]
        .into_iter()
        .chain(nominal.iter().map(String::as_str))
        .collect();
    let row = |promise: &Promise| {
        let lowest = lowest_rate(promise.groups());
        let at = |rate: f64| {
            let realized = percent(test.rate(&promise.alarms(rate), None));
            format!("{realized} ({})", chance(rate, promise.groups(), healthy))
        };
        let cell = |rate: &f64| if *rate < lowest { "-".to_owned() } else { at(*rate) };
        let first = vec![promise.name.clone(), promise.groups().to_string(), percent(lowest), at(lowest)];
        first.into_iter().chain(RATES.iter().map(cell)).collect::<Vec<_>>()
    };
    text.table(&heads, promises.iter().map(row).collect::<Vec<_>>());
    text.text(
        "Folds: every cycle is scored by a flow that was fitted without it. Left as it is, the flow that is deployed is compared with the scores of the \
folds' flows, which assumes that it scores a new cycle as they do; by its own flow, each fold's cycles are compared with the test by the same flow \
(cross-conformal), for as many evaluations. Among the normal cycles of the training file 19 % are marked stable by the rig's authors, among the healthy \
ones of the test 48 %, so the two are not quite exchangeable, whatever calibrates.",
    );
}

/// A line for each fault.
fn faults(text: &mut Markdown, results: &Results<'_>) {
    let Results { best, aggregate, promises, test, .. } = *results;
    text.text("## By fault");
    let cycles = best.cycles(aggregate, test);
    let seconds = best.seconds_alarm();
    let held_back = (&promises[0], lowest_rate(promises[0].groups()));
    let folded = (&promises[1], f64::from(FALSE_ALARM_RATE));
    let [by_held_back, by_folds] = [held_back, folded].map(|(promise, rate)| promise.alarms(rate));
    let scores: Vec<f32> = best.test.iter().map(Assessment::score).collect();
    let row = |kind: usize| {
        let of_kind: Vec<usize> = (0..scores.len()).filter(|row| test.group_kind[test.of_rows[*row]] == kind).collect();
        let against: Vec<usize> = (0..scores.len())
            .filter(|row| !test.anomalous[*row] || test.group_kind[test.of_rows[*row]] == kind)
            .collect();
        let pick = |rows: &[usize]| -> (Vec<f32>, Vec<bool>) {
            rows.iter().map(|row| (scores[*row], test.anomalous[*row])).unzip()
        };
        let (against, labels) = pick(&against);
        let alarming = of_kind.iter().filter(|row| seconds[**row]).count() as f64 / of_kind.len() as f64;
        let healthy = !of_kind.iter().any(|row| test.anomalous[*row]);
        let area = |value: Option<f64>| if healthy { "-".to_owned() } else { ratio(value) };
        vec![
            test.kinds[kind].clone(),
            (0..cycles.len()).filter(|group| test.group_kind[*group] == kind).count().to_string(),
            area(auroc(&against, &labels)),
            area(test.auroc(&cycles, Some(kind))),
            percent(alarming),
            percent(test.rate(&by_held_back, Some(kind))),
            percent(test.rate(&by_folds, Some(kind))),
        ]
    };
    let mut kinds: Vec<usize> = (0..test.kinds.len()).collect();
    kinds.sort_by_key(|kind| &test.kinds[*kind]);
    text.table(
        &[
            "fault",
            "cycles",
            "AUROC, seconds",
            "AUROC, cycles",
            "seconds alarming at 1 %",
            &format!("cycles alarming at {}", percent(held_back.1)),
            "cycles alarming at 1 %, folds",
        ],
        kinds.into_iter().map(row).collect::<Vec<_>>(),
    );
}
