//! Random images: values for every field of a schema, by its rule.

use flowlet::model_file::Architecture;
use flowlet::schema::{Field, Format, Record, Rule, Schema, Value};
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};

/// What the values are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Of the size that fitted values have: activations neither vanish nor saturate.
    Fitted,
    /// The same with splines that are as wide as a fit makes them: what they cost depends on how many readings lie inside.
    Usual,
    /// As before a fit: the last layer of every net is zero.
    Initial,
    /// The extremes that the rules allow.
    Hostile,
}

/// The image of layers with this schema.
///
/// # Panics
/// If a field has a format and a rule for which there are no values here.
pub fn image(schema: &Schema, style: Style, rng: &mut impl Rng) -> Vec<u8> {
    let mut image = Vec::with_capacity(schema.size());
    layer(schema, style, rng, &mut image);
    assert_eq!(image.len(), schema.size());
    image
}

/// The body of a model file of this architecture.
///
/// # Panics
/// If a field has a format and a rule for which there are no values here.
pub fn body(architecture: &Architecture, style: Style, rng: &mut impl Rng) -> Vec<u8> {
    let mut body = image(architecture.layers, style, rng);
    base_fields(architecture.base, style, rng, &mut body);
    fields(architecture.calibration, style, Place::default(), rng, &mut body);
    assert_eq!(body.len(), architecture.size());
    body
}

fn base_fields(base: &Record, style: Style, rng: &mut impl Rng, image: &mut Vec<u8>) {
    let start = image.len();
    fields(base, style, Place::default(), rng, image);
    if style != Style::Hostile {
        consistent(base, &mut image[start..]);
    }
}

fn layer(schema: &Schema, style: Style, rng: &mut impl Rng, image: &mut Vec<u8>) {
    match schema {
        Schema::Layer(record) => fields(record, style, Place::default(), rng, image),
        Schema::Chain(first, second) => {
            layer(first, style, rng, image);
            layer(second, style, rng, image);
        }
        Schema::Repeat(times, inner) => (0..*times).for_each(|_| layer(inner, style, rng, image)),
        Schema::Turned(inner) => layer(inner, style, rng, image),
        Schema::Within(record, inner) => {
            fields(record, style, Place::default(), rng, image);
            layer(inner, style, rng, image);
        }
    }
}

/// Where a record is in a net.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// It gives the net's outputs.
    last: bool,
    /// What it reads is as many binary digits larger than about 5,000, if it is quantized.
    reads: u16,
    /// What it gives is to be as many binary digits smaller.
    gives: u16,
}

/// Where the nested record of this index is in `record`.
fn place(record: &Record, index: usize) -> Place {
    let word = |wanted: &str| {
        record.parameters.iter().find_map(|(name, value)| match value {
            Value::Word(word) if *name == wanted => Some(*word),
            _ => None,
        })
    };
    let first = record.fields.iter().position(|field| matches!(field, Field::Nested { .. }));
    let last = index + 1 == record.fields.len();
    // tanh gives units of 2^-15, and the last layer of a residual body reads the stream, not an activation.
    let tanh = word("activation") == Some("Tanh") && first != Some(index);
    let reads = if tanh && !(last && word("body") == Some("Residual")) { 2 } else { 0 };
    // From units of 2^-12 on tanh is about 1, ELU from units of 2^-11 on.
    Place { last, reads, gives: u16::from(word("activation") == Some("Elu")) }
}

fn fields(record: &Record, style: Style, at: Place, rng: &mut impl Rng, image: &mut Vec<u8>) {
    let count_of = |wanted: &str| {
        record.fields.iter().find_map(|field| match field {
            Field::Data { name, count, .. } if *name == wanted => Some(*count),
            _ => None,
        })
    };
    let fan_in = count_of("weights").zip(count_of("bias")).map_or(1, |(weights, rows)| weights / rows.max(1)).max(1);
    let start = image.len();
    for (index, field) in record.fields.iter().enumerate() {
        match field {
            Field::Nested { times, record: inner } => {
                let at = place(record, index);
                (0..*times).for_each(|_| fields(inner, style, at, rng, image));
            }
            Field::Flows { times, layers, base } => (0..*times).for_each(|_| {
                layer(layers, style, rng, image);
                base_fields(base, style, rng, image);
            }),
            Field::Data { name, format, count, rule } => {
                let zero = at.last && style == Style::Initial && matches!(*name, "weights" | "bias");
                let context = Element { name, fan_in, zero, style, at };
                data(context, *format, *rule, *count, rng, image);
            }
        }
    }
    // The one field that follows from another: no rule of a schema says so.
    let scales = match record.name {
        "Standardize" => count_of("mean").map(|features| (features..2 * features).collect::<Vec<_>>()),
        "LuLinear" => count_of("bias").map(|features| (0..features).map(|i| i * (features + 1)).collect()),
        _ => None,
    };
    if let Some(scales) = scales {
        let value = |n: usize| f32::from_le_bytes(image[start + 4 * n..start + 4 * n + 4].try_into().unwrap());
        let log_det: f64 = scales.into_iter().map(|n| f64::from(value(n)).ln()).sum();
        image.truncate(image.len() - 4);
        image.extend((log_det as f32).to_le_bytes());
    }
}

/// Makes fields of a base follow from others, as no rule of a schema says.
fn consistent(base: &Record, image: &mut [u8]) {
    let counts: Vec<usize> = base
        .fields
        .iter()
        .map(|field| match field {
            Field::Data { count, .. } => *count,
            Field::Nested { .. } | Field::Flows { .. } => 0,
        })
        .collect();
    let value =
        |image: &[u8], word: usize| f64::from(f32::from_le_bytes(image[4 * word..4 * word + 4].try_into().unwrap()));
    let set = |image: &mut [u8], word: usize, bytes: [u8; 4]| image[4 * word..4 * word + 4].copy_from_slice(&bytes);
    match base.name {
        "StudentT" => {
            for word in 0..counts[0] {
                let constant = flowlet_trainer::base::constant(value(image, word));
                set(image, counts[0] + word, (constant as f32).to_le_bytes());
            }
        }
        "Mixture" => {
            let (components, features) = (counts[0], counts[2] / counts[0].max(1));
            for component in 0..components {
                // Equal weights.
                let share = 1.0 / components as f64;
                let scales =
                    (0..features).map(|i| value(image, 2 * components + counts[2] + component * features + i).ln());
                let offset = share.ln() + scales.sum::<f64>() - 0.5 * features as f64 * std::f64::consts::TAU.ln();
                set(image, component, (offset as f32).to_le_bytes());
                let behind = (components - 1 - component) as f64 * share;
                set(image, components + component, ((behind * 4_294_967_296.0) as u32).to_le_bytes());
            }
        }
        "Ensemble" => {
            for member in 0..counts[0] {
                // Equal weights.
                let share = 1.0 / counts[0] as f64;
                set(image, member, (share.ln() as f32).to_le_bytes());
                let behind = (counts[0] - 1 - member) as f64 * share;
                set(image, counts[0] + member, ((behind * 4_294_967_296.0) as u32).to_le_bytes());
            }
        }
        _ => {}
    }
}

/// What a value is for.
#[derive(Clone, Copy)]
struct Element<'a> {
    name: &'a str,
    fan_in: usize,
    zero: bool,
    style: Style,
    at: Place,
}

fn data(element: Element<'_>, format: Format, rule: Rule, count: usize, rng: &mut impl Rng, image: &mut Vec<u8>) {
    match (format, rule) {
        (_, Rule::Permutation) => {
            let mut numbers: Vec<u32> = (0..count as u32).collect();
            numbers.shuffle(rng);
            image.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        }
        (Format::F32, Rule::Ascending) => {
            let mut values: Vec<f32> = (0..count).map(|_| rng.random_range(-5.0..60.0)).collect();
            values.sort_by(f32::total_cmp);
            // Unused knots.
            values.iter_mut().skip(count - count / 4).for_each(|value| *value = f32::MAX);
            image.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
        (Format::U32, Rule::Descending) => {
            let mut values: Vec<u32> = (0..count).map(|_| rng.random_range(0..10_000)).collect();
            values.sort_unstable_by(|a, b| b.cmp(a));
            image.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
        (Format::F32, Rule::Increasing) => {
            // Around the points of the laws.
            let (low, high) = match element.style {
                Style::Hostile => (-1.0..0.0, 1.0..1e30),
                _ => (-5.0..-0.5, 6.0..9.0),
            };
            assert_eq!(count, 2, "bounds of a feature");
            image.extend(rng.random_range::<f32, _>(low).to_le_bytes());
            image.extend(rng.random_range::<f32, _>(high).to_le_bytes());
        }
        (Format::F32, Rule::NotNegative) => (0..count).for_each(|_| {
            let value = if rng.random() {
                single(Element { name: "inverse_scale", ..element }, Rule::Positive, rng)
            } else {
                0.0
            };
            image.extend(value.to_le_bytes());
        }),
        (Format::U32, Rule::Flag) => (0..count).for_each(|_| image.extend(rng.random_range(0..2_u32).to_le_bytes())),
        (Format::U32, Rule::OddExponent) => (0..count).for_each(|_| {
            let exponents = if element.style == Style::Hostile { [0, 3, 15] } else { [0, 3, 5] };
            image.extend(u32::to_le_bytes(exponents[rng.random_range(0..3)]));
        }),
        (Format::F32, Rule::PositiveDiagonal(rows)) => {
            for n in 0..count {
                let rule = if n % (rows + 1) == 0 { Rule::Positive } else { Rule::Finite };
                // Random triangles are singular to the eye unless what is off the diagonal is small.
                let value = match element.style {
                    Style::Hostile => single(element, rule, rng),
                    _ if rule == Rule::Positive => rng.random_range(0.3..3.0),
                    _ => rng.random_range(-1.0..1.0) / (rows as f32).sqrt(),
                };
                image.extend(value.to_le_bytes());
            }
        }
        (Format::F32, _) => (0..count).for_each(|_| image.extend(single(element, rule, rng).to_le_bytes())),
        (Format::I8, _) => (0..count).for_each(|_| image.extend(weight(element, rng).to_le_bytes())),
        (Format::I32, Rule::Within(limit)) => {
            let limit = i32::try_from(limit).expect("a limit within an i32");
            (0..count).for_each(|_| image.extend(bias(element, limit, rng).to_le_bytes()));
        }
        (Format::U32, _) => (0..count).for_each(|_| image.extend(rng.random_range(10_000..20_000_u32).to_le_bytes())),
        (Format::Requantization, _) => (0..count).for_each(|_| image.extend(requantization(element, rng))),
        (format, rule) => panic!("no values for {format:?} with {rule:?}: add them here"),
    }
}

fn single(element: Element<'_>, rule: Rule, rng: &mut impl Rng) -> f32 {
    let sign = if rng.random::<bool>() { 1.0 } else { -1.0 };
    let value = match (element.style, element.name) {
        _ if element.zero => return 0.0,
        (Style::Usual, "bound") => rng.random_range(4.9..5.1),
        (Style::Hostile, "inverse_bound") => rng.random_range(0.05..10.0),
        (Style::Hostile, _) => {
            *rand::seq::IndexedRandom::choose(&[1e-40, 1e-30, 1e-3, 1.0, 1e3, 1e30][..], rng).expect("not empty")
        }
        (_, "inverse_bound") => rng.random_range(0.3..1.0),
        (_, "inverse_input_scale") => rng.random_range(4000.0..6000.0),
        (_, "inverse_scale") => rng.random_range(0.1..3.0),
        // From accumulators of about 10^6 to shifts and log-scales of about 1.
        (_, "scale") => rng.random_range(2e-7..1e-6) / f32::from(1_u16 << element.at.reads),
        (_, "weights") => rng.random_range(0.0..2.0) / (element.fan_in as f32).sqrt(),
        (_, "bias") => rng.random_range(0.0..0.5),
        (_, "degrees") => rng.random_range(1.0..30.0),
        // Slopes of a tanh that neither vanish nor saturate.
        (_, "u" | "w" | "vectors" | "triangles" | "diagonal") => rng.random_range(0.0..1.0),
        (_, "threshold") => rng.random_range(0.0..60.0),
        (_, "false_alarm_rate") => 0.01,
        _ => rng.random_range(0.0..5.0),
    };
    match rule {
        Rule::Positive => value,
        Rule::Probability => value.min(1.0),
        _ => sign * value,
    }
}

fn weight(element: Element<'_>, rng: &mut impl Rng) -> i8 {
    match element.style {
        _ if element.zero => 0,
        Style::Hostile => *rand::seq::IndexedRandom::choose(&[-128, -127, 127][..], rng).expect("not empty"),
        _ => rng.random_range(-127..=127),
    }
}

fn bias(element: Element<'_>, limit: i32, rng: &mut impl Rng) -> i32 {
    match element.style {
        _ if element.zero => 0,
        Style::Hostile => *rand::seq::IndexedRandom::choose(&[-limit, 0, limit][..], rng).expect("not empty"),
        _ => rng.random_range(-500_000..=500_000),
    }
}

fn requantization(element: Element<'_>, rng: &mut impl Rng) -> [u8; 4] {
    let (multiplier, shift) = match element.style {
        Style::Hostile => (
            *rand::seq::IndexedRandom::choose(&[0, 1, 16384, i16::MAX][..], rng).expect("not empty"),
            *rand::seq::IndexedRandom::choose(&[0, 1, 15, 31_u16][..], rng).expect("not empty"),
        ),
        // From accumulators of about 10^6 to activations of about 5,000.
        _ => {
            let shift = rng.random_range(5..=7) + element.at.reads + element.at.gives;
            (rng.random_range(16384..=i16::MAX), shift)
        }
    };
    let ([a, b], [c, d]) = (multiplier.to_le_bytes(), shift.to_le_bytes());
    [a, b, c, d]
}
