//! Masks without zeros: which units of an autoregressive net see which features (Germain, Gregor, Murray, Larochelle,
//! "MADE: masked autoencoder for distribution estimation", 2015, section 3).
//!
//! A hidden unit of degree m sees the first m features; feature i, counted from 0, is conditioned on the units of degrees
//! up to i, and so on the first i features at the most. With units sorted by degree, what a row of weights sees is always
//! a prefix of its inputs: no zero is stored or multiplied, and every unit can be computed as soon as the features of its
//! prefix are known, once, whichever way the layer goes. Units of one degree come in quads.

/// The degrees of a net's hidden quads: the same in all of its hidden layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Masks {
    /// Features, D.
    pub features: usize,
    /// The lowest degree, below D: 0 where the first features are to see a context, otherwise 1 (0 for one feature).
    pub lowest: usize,
    /// Quads of units in a hidden layer.
    pub hidden: usize,
}

impl Masks {
    /// The degree of a quad of hidden units: between `lowest` and D - 1, evenly spread, ascending.
    #[must_use]
    pub const fn degree(self, quad: usize) -> usize {
        let Some(degrees) = self.features.checked_sub(self.lowest) else { return self.lowest };
        match (quad * degrees).checked_div(self.hidden) {
            Some(step) => self.lowest + step,
            None => self.lowest,
        }
    }

    /// How many quads, the first ones, feature i (from 0) is conditioned on: those of degrees up to i.
    #[must_use]
    pub const fn quads(self, feature: usize) -> usize {
        let Some(degrees) = self.features.checked_sub(self.lowest) else { return 0 };
        if feature < self.lowest || degrees == 0 {
            return 0;
        }
        let quads = ((feature - self.lowest + 1) * self.hidden).div_ceil(degrees);
        if quads < self.hidden { quads } else { self.hidden }
    }

    /// How many features, the first ones, feature i (from 0) is conditioned on: i, where there are units of every degree.
    #[must_use]
    pub const fn visible(self, feature: usize) -> usize {
        match self.quads(feature).checked_sub(1) {
            Some(last) => self.degree(last),
            None => 0,
        }
    }

    /// Blocks of four rows by four columns that the first hidden layer stores: a unit of degree m sees `context` and m
    /// features, in quads.
    #[must_use]
    pub const fn first_blocks(self, context: usize) -> usize {
        let (mut blocks, mut quad) = (0, 0);
        while quad < self.hidden {
            blocks += (context + self.degree(quad)).div_ceil(4);
            quad += 1;
        }
        blocks
    }

    /// Blocks that a matrix from hidden layer to hidden layer stores: a unit sees all units of degrees up to its own.
    #[must_use]
    pub const fn inner_blocks(self) -> usize {
        let (mut blocks, mut quad) = (0, 0);
        while quad < self.hidden {
            blocks += self.quads(self.degree(quad));
            quad += 1;
        }
        blocks
    }

    /// Blocks that the last layer stores, with `stride` outputs for each feature. Four outputs see what the last of their
    /// features is conditioned on.
    #[must_use]
    pub const fn last_blocks(self, stride: usize) -> usize {
        let outputs = self.features * stride;
        let (mut blocks, mut output) = (0, 0);
        while output < outputs {
            let last = if output + 3 < outputs { output + 3 } else { outputs - 1 };
            // `stride` is not 0, or there were no outputs.
            blocks += match last.checked_div(stride) {
                Some(feature) => self.quads(feature),
                None => 0,
            };
            output += 4;
        }
        blocks
    }
}

#[cfg(test)]
mod tests {
    use super::Masks;

    #[test]
    fn blocks_are_what_a_mask_of_ones_and_zeros_leaves() {
        for features in 1..14 {
            for lowest in 0..=usize::from(features > 1) {
                for hidden in 0..12 {
                    let masks = Masks { features, lowest, hidden };
                    // The mask by its definition, a unit at a time; a block is stored if anything in it is visible, and so
                    // are those before it.
                    let degree = |unit: usize| masks.degree(unit / 4);
                    let blocks = |rows: usize, columns: usize, visible: &dyn Fn(usize, usize) -> bool| -> usize {
                        (0..rows.div_ceil(4))
                            .map(|quad| {
                                let rows = 4 * quad..rows.min(4 * quad + 4);
                                let last =
                                    (0..columns).rev().find(|column| rows.clone().any(|row| visible(row, *column)));
                                last.map_or(0, |column| column / 4 + 1)
                            })
                            .sum()
                    };
                    for context in 0..6 {
                        let visible = |row: usize, column: usize| column < context || column - context < degree(row);
                        let counted = blocks(4 * hidden, context + features, &visible);
                        assert_eq!(masks.first_blocks(context), counted, "{masks:?}, context {context}");
                    }
                    let counted = blocks(4 * hidden, 4 * hidden, &|row, column| degree(column) <= degree(row));
                    assert_eq!(masks.inner_blocks(), counted, "{masks:?}");
                    for stride in [1, 2, 4, 8, 12] {
                        let visible = |row: usize, column: usize| degree(column) <= row / stride;
                        let counted = blocks(features * stride, 4 * hidden, &visible);
                        assert_eq!(masks.last_blocks(stride), counted, "{masks:?}, stride {stride}");
                    }
                }
            }
        }
    }

    #[test]
    fn degrees_ascend_and_quads_count_them() {
        for features in 1..20 {
            for lowest in 0..=usize::from(features > 1) {
                for hidden in 1..40 {
                    let masks = Masks { features, lowest, hidden };
                    for feature in 0..features {
                        let counted = (0..hidden).filter(|quad| masks.degree(*quad) <= feature).count();
                        assert_eq!(masks.quads(feature), counted, "{masks:?}, {feature}");
                        let prefix = (0..hidden).take_while(|quad| masks.degree(*quad) <= feature).count();
                        assert_eq!(prefix, counted, "{masks:?} ascends");
                        assert!(masks.visible(feature) <= feature);
                        if hidden + lowest >= features {
                            assert_eq!(masks.visible(feature), feature, "{masks:?}");
                        }
                    }
                    assert_eq!(masks.quads(features - 1), hidden);
                }
            }
        }
    }
}
