//! What a score does and what its code consists of, counted from an architecture's records.

use std::collections::BTreeMap;

use flowlet::elementary::{ElementaryName, Libm};
use flowlet::model_file::Architecture;
use flowlet::real::Scalar;
use flowlet::schema::{Field, Format, Record, Schema, Value};

/// Kinds of work, with how much there is of each.
pub type Work = BTreeMap<String, f64>;

/// The work of a score: layers and their features, products outside of nets, features by their map, rows and blocks of the
/// nets' weights.
#[must_use]
pub fn of_score(architecture: &Architecture) -> Work {
    let mut work = Work::new();
    each(architecture, &mut |record, times| {
        let mut add = |kind: String, amount: usize| {
            if amount > 0 {
                *work.entry(kind).or_default() += (times * amount) as f64;
            }
        };
        let Layer { name, numbers, map, net } = Layer::of(record);
        add(name.clone(), 1);
        let mut features = 0;
        for (number, value) in numbers {
            // What passes through a coupling is the input of its net.
            if matches!(number, "features" | "transformed") {
                features = value;
            }
            add(format!("{name}, {number}"), value);
        }
        if let Some(map) = &map {
            let Layer { name, numbers, .. } = Layer::of(map);
            numbers.into_iter().for_each(|(number, value)| add(format!("{name}, {number}"), features * value));
            add(name, features);
        }
        match &net {
            Some(net) => {
                let name = Layer::of(net).name;
                for Matrix { times, hidden, rows, blocks } in matrices(net) {
                    let gives = if hidden { "hidden" } else { "output" };
                    add(format!("{name}, {gives} matrices"), times);
                    add(format!("{name}, {gives} rows"), times * rows);
                    add(format!("{name}, {gives} blocks"), times * blocks);
                }
            }
            None => add(format!("{name}, products"), record.macs),
        }
    });
    work
}

/// The compiler unrolls loops over features or bins up to about this length.
const UNROLLED: usize = 16;

/// What the code of a score consists of: every kind of layer, map and net once, however often it is run, and the numbers that
/// the compiler unrolls loops by.
#[must_use]
pub fn of_code(architecture: &Architecture) -> Work {
    let mut work = Work::new();
    each(architecture, &mut |record, _| {
        let layer = Layer::of(record);
        let map = layer.map.map(Layer::of);
        for Layer { name, numbers, .. } in [Some(&layer), map.as_ref()].into_iter().flatten() {
            let shapes = numbers.iter().filter(|(number, _)| !matches!(*number, "kept" | "transformed"));
            work.extend(shapes.map(|(number, value)| (format!("{name}, {number}"), *value.min(&UNROLLED) as f64)));
            work.insert(name.clone(), 1.0);
        }
        if let Some(net) = layer.net {
            let name = Layer::of(net).name;
            let deep: usize = matrices(net).filter(|matrix| matrix.hidden).map(|matrix| matrix.times).sum();
            if deep > 1 {
                work.insert(format!("{name}, deep"), 1.0);
            }
            work.insert(name, 1.0);
        }
    });
    work
}

/// Calls `visit` with the record of every layer and the base, and how often it is run.
fn each(architecture: &Architecture, visit: &mut dyn FnMut(&'static Record, usize)) {
    fn walk(schema: &'static Schema, times: usize, visit: &mut dyn FnMut(&'static Record, usize)) {
        match schema {
            Schema::Layer(record) => visit(record, times),
            Schema::Chain(first, second) => {
                walk(first, times, visit);
                walk(second, times, visit);
            }
            Schema::Repeat(more, layer) => walk(layer, times * more, visit),
            Schema::Turned(layer) => walk(layer, times, visit),
            Schema::Within(record, layer) => {
                visit(record, times);
                walk(layer, times, visit);
            }
        }
    }
    walk(architecture.layers, 1, visit);
    visit(architecture.base, 1);
    for field in architecture.base.fields {
        if let Field::Flows { times, layers, base } = field {
            walk(layers, *times, visit);
            visit(base, *times);
        }
    }
}

/// What a record's parameters say.
struct Layer {
    /// The type's name, with the choices that are not the usual ones: their costs are others.
    name: String,
    /// Shapes, but for those of a net, which its matrices have.
    numbers: Vec<(&'static str, usize)>,
    map: Option<&'static Record>,
    net: Option<&'static Record>,
}

impl Layer {
    fn of(record: &'static Record) -> Self {
        let mut layer = Self { name: record.name.to_owned(), numbers: Vec::new(), map: None, net: None };
        for (parameter, value) in record.parameters {
            match (*parameter, value) {
                ("map", Value::Record(map)) => layer.map = Some(map),
                ("net", Value::Record(net)) => layer.net = Some(net),
                ("packing" | "requantization", _) | (_, Value::Record(_) | Value::Layers(_)) => {}
                (_, Value::Word(word)) if USUAL.contains(word) => {}
                (_, Value::Word(word)) => layer.name += &format!(" of {word}"),
                (parameter, Value::Number(number)) => layer.numbers.push((parameter, *number)),
            }
        }
        layer
    }
}

/// The choices that a fit makes unless it is told otherwise.
const USUAL: [&str; 5] = [Libm::NAME, "Relu", "Plain", "Softsign", "Softclip"];

/// Matrices of one shape in a net, in quads.
struct Matrix {
    times: usize,
    /// To hidden units, not to outputs.
    hidden: bool,
    rows: usize,
    blocks: usize,
}

/// The matrices of an int8 net: its nested records. Others are of other formats, and named as such.
fn matrices(net: &'static Record) -> impl Iterator<Item = Matrix> {
    net.fields.iter().filter_map(|field| {
        let Field::Nested { times, record } = field else { return None };
        let mut matrix = Matrix { times: *times, hidden: true, rows: 0, blocks: 0 };
        for field in record.fields {
            match field {
                Field::Data { name: "weights", format, count, .. } => matrix.blocks = format.size() * count / 16,
                Field::Data { name: "bias", count, .. } => matrix.rows = count / 4,
                Field::Data { name: "scale", format: Format::F32, .. } => matrix.hidden = false,
                _ => {}
            }
        }
        Some(matrix)
    })
}

/// Whether a score is computed in floating point, as all that was measured is.
pub(super) fn is_floating(architecture: &Architecture) -> bool {
    architecture.arithmetic == f32::ARITHMETIC
}
