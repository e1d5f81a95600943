//! What a type is, as data that the compiler can read: names, shapes, stored fields and how it mixes features.
//!
//! A const fn cannot call a trait's methods, but it can read a trait's constants. So every layer, net and base states
//! a [`Record`] of itself, [`Schema`] composes them as the types compose, and plain const functions derive from the
//! one tree all that has to be known without a value: the canonical description whose hash is the fingerprint of the
//! model file, the byte layout, the rules that stored values keep, the cost, and which features interact.

use crate::model_file::LoadError;
use crate::text::Text;

/// The composition of a flow's layers, in the order data -> base.
#[derive(Debug)]
pub enum Schema {
    /// One layer.
    Layer(&'static Record),
    /// One after the other.
    Chain(&'static Schema, &'static Schema),
    /// The same type several times, with different values.
    Repeat(usize, &'static Schema),
    /// With its directions swapped.
    Turned(&'static Schema),
    /// A layer around others, which changes what they see: its own fields come first.
    Within(&'static Record, &'static Schema),
}

/// One layer, net or base.
#[derive(Debug)]
pub struct Record {
    /// The name of the type.
    pub name: &'static str,
    /// What distinguishes this type from others of its name, in canonical order.
    pub parameters: &'static [Parameter],
    /// What it stores, in the order of its bytes.
    pub fields: &'static [Field],
    /// Which outputs depend on which inputs (layers only).
    pub mixing: Mixing,
    /// Multiply-accumulates of one evaluation.
    pub macs: usize,
    /// Bytes of scratch that one evaluation keeps on the stack.
    pub scratch: usize,
}

/// A name and a value that distinguish a type from others of its kind.
pub type Parameter = (&'static str, Value);

/// The value of a parameter.
#[derive(Debug)]
pub enum Value {
    /// A shape.
    Number(usize),
    /// A choice.
    Word(&'static str),
    /// A type with parameters of its own.
    Record(&'static Record),
    /// Composed layers.
    Layers(&'static Schema),
}

/// Consecutive bytes of a model's image. All formats are little-endian and a multiple of four bytes long.
#[derive(Debug)]
pub enum Field {
    /// `count` elements of one format.
    Data {
        /// The name of the struct's field.
        name: &'static str,
        /// Format of an element.
        format: Format,
        /// Number of elements.
        count: usize,
        /// What every element must satisfy.
        rule: Rule,
    },
    /// The fields of a nested type, `times` over.
    Nested {
        /// How often.
        times: usize,
        /// The nested type.
        record: &'static Record,
    },
    /// The fields of layers and of the base behind them, `times` over: of several flows.
    Flows {
        /// How often.
        times: usize,
        /// The layers.
        layers: &'static Schema,
        /// The base.
        base: &'static Record,
    },
}

/// The format of a stored element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// IEEE 754 binary32.
    F32,
    /// Signed 8-bit integer; counts are multiples of four.
    I8,
    /// Signed 32-bit integer.
    I32,
    /// Unsigned 32-bit integer.
    U32,
    /// [`Requantization`](crate::conditioner::int8::Requantization): i16 multiplier, u16 shift.
    Requantization,
}

impl Format {
    /// Bytes of one element.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Format::I8 => 1,
            Format::F32 | Format::I32 | Format::U32 | Format::Requantization => 4,
        }
    }
}

/// What stored values must satisfy. The loaders check it, whatever the checksum says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Any bits are fine.
    Any,
    /// Neither infinite nor NaN.
    Finite,
    /// Finite and above zero.
    Positive,
    /// Finite, and none below its predecessor.
    Ascending,
    /// None above its predecessor.
    Descending,
    /// Every number from 0 to count - 1 once.
    Permutation,
    /// Of an absolute value up to this.
    Within(u32),
    /// Above zero and at most 1.
    Probability,
    /// Finite, and zero (not -0) or above.
    NotNegative,
    /// Finite, each above its predecessor, at a finite distance.
    Increasing,
    /// 0 or 1.
    Flag,
    /// 0, or an odd number from 3 to 15.
    OddExponent,
    /// Finite; a square matrix of this many rows, above zero on its diagonal.
    PositiveDiagonal(usize),
    /// A multiplier that is not negative, and a shift of 31 at the most.
    Requantization,
}

/// Which outputs of a layer (in the direction data -> base) depend on which of its inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mixing {
    /// Not a layer.
    None,
    /// Output k on input k only, by a map that is the same for every flow: a change of units.
    Units,
    /// Output k on input k only.
    Elementwise,
    /// Output k on input k only, and the same unless a word of the image is not 0: the k-th of those that lie so many bytes
    /// apart, the first of them at the beginning.
    Selected {
        /// Bytes from one word to the next.
        stride: usize,
    },
    /// The order is reversed.
    Reverse,
    /// Output k is input `p[k]`, with p the first field.
    Permutation,
    /// Every output on every input.
    Dense,
    /// Output k on input k, and on the inputs before it, of which a net with as many quads of hidden units, of degrees
    /// from the lowest on, shows it the first ones (see [`Masks`](crate::conditioner::Masks)).
    Autoregressive {
        /// Degree of the first hidden units.
        lowest: usize,
        /// Quads of hidden units.
        hidden: usize,
    },
    /// What the nested record of the first field does, on every run of `channels` features.
    Pointwise {
        /// Features of the nested layer.
        channels: usize,
    },
    /// The first `kept` pass through; each other output depends on its own input and on all that are kept.
    Coupling {
        /// How many pass through.
        kept: usize,
    },
}

impl Record {
    /// A record of what is only stored: it mixes nothing and costs nothing.
    #[must_use]
    pub const fn stored(name: &'static str, parameters: &'static [Parameter], fields: &'static [Field]) -> Self {
        Self { name, parameters, fields, mixing: Mixing::None, macs: 0, scratch: 0 }
    }

    /// Bytes of the image.
    #[must_use]
    pub const fn size(&self) -> usize {
        let mut size = 0;
        let mut fields = self.fields;
        while let [field, rest @ ..] = fields {
            size += match field {
                Field::Data { format, count, .. } => format.size() * *count,
                Field::Nested { times, record } => *times * record.size(),
                Field::Flows { times, layers, base } => *times * (layers.size() + base.size()),
            };
            fields = rest;
        }
        size
    }

    /// Writes the canonical description.
    pub const fn describe(&self, text: &mut Text<'_>) {
        self.describe_open(text);
        text.word(")");
    }

    /// The description without the parenthesis at its end.
    const fn describe_open(&self, text: &mut Text<'_>) {
        text.word(self.name);
        text.word("(");
        let mut parameters = self.parameters;
        while let [(name, value), rest @ ..] = parameters {
            text.word(name);
            text.word(":");
            match value {
                Value::Number(number) => text.number(*number as u64),
                Value::Word(word) => text.word(word),
                Value::Record(record) => record.describe(text),
                Value::Layers(layers) => layers.describe(text),
            }
            if !rest.is_empty() {
                text.word(",");
            }
            parameters = rest;
        }
    }

    /// Checks the rules of all fields on the bytes of `image` from `offset` on; returns the offset behind them.
    ///
    /// # Errors
    /// [`LoadError::Field`] with the name and the offset of the first field that breaks its rule.
    pub const fn check(&self, image: &[u8], offset: usize) -> Result<usize, LoadError> {
        let mut offset = offset;
        let mut fields = self.fields;
        while let [field, rest @ ..] = fields {
            match field {
                Field::Data { name, format, count, rule } => {
                    if !holds(*rule, image, offset, *count) {
                        return Err(LoadError::Field { name, offset });
                    }
                    offset += format.size() * *count;
                }
                Field::Nested { times, record } => {
                    let mut n = 0;
                    while n < *times {
                        match record.check(image, offset) {
                            Ok(next) => offset = next,
                            Err(error) => return Err(error),
                        }
                        n += 1;
                    }
                }
                Field::Flows { times, layers, base } => {
                    let mut n = 0;
                    while n < *times {
                        offset = match layers.check(image, offset) {
                            Ok(offset) => match base.check(image, offset) {
                                Ok(offset) => offset,
                                Err(error) => return Err(error),
                            },
                            Err(error) => return Err(error),
                        };
                        n += 1;
                    }
                }
            }
            fields = rest;
        }
        Ok(offset)
    }
}

impl Schema {
    /// Bytes of the image.
    #[must_use]
    pub const fn size(&self) -> usize {
        match self {
            Schema::Layer(record) => record.size(),
            Schema::Chain(first, second) => first.size() + second.size(),
            Schema::Repeat(times, layer) => *times * layer.size(),
            Schema::Turned(layer) => layer.size(),
            Schema::Within(record, layer) => record.size() + layer.size(),
        }
    }

    /// Multiply-accumulates of one pass.
    #[must_use]
    pub const fn macs(&self) -> usize {
        match self {
            Schema::Layer(record) => record.macs,
            Schema::Chain(first, second) => first.macs() + second.macs(),
            Schema::Repeat(times, layer) => *times * layer.macs(),
            Schema::Turned(layer) => layer.macs(),
            Schema::Within(record, layer) => record.macs + layer.macs(),
        }
    }

    /// Bytes of scratch: the layers run one after the other, so the largest counts.
    #[must_use]
    pub const fn scratch(&self) -> usize {
        match self {
            Schema::Layer(record) => record.scratch,
            Schema::Chain(first, second) => {
                let (first, second) = (first.scratch(), second.scratch());
                if first > second { first } else { second }
            }
            Schema::Repeat(_, layer) | Schema::Turned(layer) => layer.scratch(),
            Schema::Within(record, layer) => record.scratch + layer.scratch(),
        }
    }

    /// Writes the canonical description. Nesting shows, because log-determinants are summed as the chains nest, and
    /// the order of a sum is part of its bits.
    pub const fn describe(&self, text: &mut Text<'_>) {
        match self {
            Schema::Layer(record) => record.describe(text),
            Schema::Chain(first, second) => {
                text.word("Chain(");
                first.describe(text);
                text.word(",");
                second.describe(text);
                text.word(")");
            }
            Schema::Repeat(times, layer) => {
                text.word("Repeat(");
                text.number(*times as u64);
                text.word(",");
                layer.describe(text);
                text.word(")");
            }
            Schema::Turned(layer) => {
                text.word("Turned(");
                layer.describe(text);
                text.word(")");
            }
            Schema::Within(record, layer) => {
                record.describe_open(text);
                text.word(",layers:");
                layer.describe(text);
                text.word(")");
            }
        }
    }

    /// Checks the rules of all fields on the bytes of `image` from `offset` on; returns the offset behind them.
    ///
    /// # Errors
    /// [`LoadError::Field`] with the name and the offset of the first field that breaks its rule.
    pub const fn check(&self, image: &[u8], offset: usize) -> Result<usize, LoadError> {
        match self {
            Schema::Layer(record) => record.check(image, offset),
            Schema::Chain(first, second) => match first.check(image, offset) {
                Ok(offset) => second.check(image, offset),
                Err(error) => Err(error),
            },
            Schema::Repeat(times, layer) => {
                let mut offset = offset;
                let mut n = 0;
                while n < *times {
                    match layer.check(image, offset) {
                        Ok(next) => offset = next,
                        Err(error) => return Err(error),
                    }
                    n += 1;
                }
                Ok(offset)
            }
            Schema::Turned(layer) => layer.check(image, offset),
            Schema::Within(record, layer) => match record.check(image, offset) {
                Ok(offset) => layer.check(image, offset),
                Err(error) => Err(error),
            },
        }
    }
}

/// Four bytes of `image`; zero behind its end (a length that fits was checked before).
pub(crate) const fn word_at(image: &[u8], offset: usize) -> u32 {
    match image.split_at_checked(offset) {
        Some((_, [a, b, c, d, ..])) => u32::from_le_bytes([*a, *b, *c, *d]),
        _ => 0,
    }
}

const fn holds(rule: Rule, image: &[u8], offset: usize, count: usize) -> bool {
    let mut previous = 0_u32;
    let mut diagonal = 0;
    let mut i = 0;
    while i < count {
        let word = word_at(image, offset + i * 4);
        let value = f32::from_bits(word);
        let fits = match rule {
            Rule::Any => return true,
            Rule::Finite => value.is_finite(),
            Rule::Positive => value.is_finite() && value > 0.0,
            Rule::Probability => value > 0.0 && value <= 1.0,
            // Their bits are in the order of the numbers.
            Rule::NotNegative => word < f32::INFINITY.to_bits(),
            Rule::Increasing => {
                let distance = value - f32::from_bits(previous);
                value.is_finite() && (i == 0 || (distance > 0.0 && distance.is_finite()))
            }
            Rule::Flag => word <= 1,
            Rule::OddExponent => word == 0 || (word % 2 == 1 && word >= 3 && word <= 15),
            Rule::Ascending => value.is_finite() && (i == 0 || value >= f32::from_bits(previous)),
            Rule::Descending => i == 0 || word <= previous,
            Rule::Permutation => (word as usize) < count && !occurs(word, image, offset, i),
            Rule::Within(limit) => (word as i32).unsigned_abs() <= limit,
            Rule::PositiveDiagonal(rows) => {
                let on_diagonal = i == diagonal;
                if on_diagonal {
                    diagonal += rows + 1;
                }
                value.is_finite() && (value > 0.0 || !on_diagonal)
            }
            Rule::Requantization => word as i16 >= 0 && word >> 16 <= 31,
        };
        if !fits {
            return false;
        }
        previous = word;
        i += 1;
    }
    true
}

const fn occurs(word: u32, image: &[u8], offset: usize, count: usize) -> bool {
    let mut i = 0;
    while i < count {
        if word_at(image, offset + i * 4) == word {
            return true;
        }
        i += 1;
    }
    false
}
