//! What is tried: every family in a ladder of sizes, as far as it fits the budget.

use std::fmt::{self, Display};

use super::halving::sort;
use super::report::name;
use super::{Budget, SearchError};
use crate::cost::{Cost, estimate};
use crate::export::planned;
use crate::train::{Architecture, Family, FeatureOrder, Options};

/// What the user has chosen and the search leaves as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chosen {
    /// The family.
    pub family: Option<Family>,
    /// Layers that transform.
    pub layers: Option<usize>,
    /// Units of a hidden layer.
    pub hidden: Option<usize>,
    /// Hidden layers of a net.
    pub hidden_layers: Option<usize>,
    /// Bins of a spline.
    pub bins: Option<usize>,
}

/// A shape, and what it costs.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The shape.
    pub shape: Architecture,
    /// Its cost.
    pub cost: Cost,
}

impl Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&name(&self.shape))
    }
}

/// Families whose costs are known, with the numbers of layers that are tried. Of a linear layer, and so of Glow, the compiler
/// unrolls the loops up to some number of features, which no sum of prices follows.
const FAMILIES: [(Family, &[usize]); 7] = [
    (Family::Nice, &[2, 3, 4, 6, 8]),
    (Family::Realnvp, &[2, 3, 4, 6, 8]),
    (Family::Spline, &[2, 3, 4, 6]),
    (Family::Maf, &[2, 3, 4, 5, 7]),
    (Family::MafSpline, &[2, 3, 4, 5]),
    (Family::Planar, &[4, 8, 12, 16, 24, 32, 48]),
    (Family::Sylvester, &[2, 4, 6, 8, 12, 16]),
];

const HIDDEN: [usize; 7] = [8, 16, 24, 32, 48, 64, 96];
const HIDDEN_LAYERS: [usize; 2] = [1, 2];
const BINS: [usize; 3] = [4, 6, 8];

/// The candidates that fit the budget, the cheapest first.
///
/// # Errors
/// [`SearchError::Unknown`] if costs of what was chosen are not known, [`SearchError::TooSmall`] if nothing fits.
pub fn candidates(
    features: usize,
    context: usize,
    options: &Options,
    chosen: &Chosen,
    budget: &Budget,
) -> Result<Vec<Candidate>, SearchError> {
    let mut all = Vec::new();
    for shape in shapes(features, context, &options.architecture, chosen) {
        let architecture = planned(features, context, &Options { architecture: shape.clone(), ..options.clone() });
        let cost = estimate(&architecture.to_core(), budget.target)?;
        all.push(Candidate { shape, cost });
    }
    sort(&mut all, budget);
    let smallest = all.first().cloned().ok_or(SearchError::NoShape)?;
    all.retain(|candidate| budget.allows(&candidate.cost));
    if all.is_empty() {
        return Err(SearchError::TooSmall { budget: *budget, smallest: Box::new(smallest) });
    }
    Ok(all)
}

/// Every shape; what it has no use for is as in `like`.
fn shapes(features: usize, context: usize, like: &Architecture, chosen: &Chosen) -> Vec<Architecture> {
    let mut shapes = Vec::new();
    let wanted = |family: Family| chosen.family.is_none_or(|chosen| chosen == family) && like.order.suits(family);
    for (family, ladder) in FAMILIES.into_iter().filter(|(family, _)| wanted(*family)) {
        if context > 0 && !family.has_nets() {
            continue;
        }
        let nets = family.has_nets();
        let splines = matches!(family, Family::Spline | Family::MafSpline);
        let masked = matches!(family, Family::Maf | Family::MafSpline);
        for layers in rungs(chosen.layers, ladder, true, like.layers) {
            for hidden in rungs(chosen.hidden, &HIDDEN, nets, like.hidden) {
                // A masked net needs a quad of units for each degree, or features go unseen: in any order, and more so
                // in one.
                let fixed = like.order == FeatureOrder::Fixed;
                let narrow = fixed && hidden < Architecture::narrowest_in_fixed_order(features, context);
                if masked && (hidden / 4 + 1 < features || narrow) {
                    continue;
                }
                for hidden_layers in rungs(chosen.hidden_layers, &HIDDEN_LAYERS, nets, like.hidden_layers) {
                    for bins in rungs(chosen.bins, &BINS, splines, like.bins) {
                        shapes.push(Architecture { family, layers, hidden, hidden_layers, bins, ..like.clone() });
                    }
                }
            }
        }
    }
    shapes
}

/// What is tried of one size: the chosen one, the ladder, or the only one where it makes no difference.
fn rungs(chosen: Option<usize>, ladder: &[usize], matters: bool, otherwise: usize) -> Vec<usize> {
    match (matters, chosen) {
        (false, _) => vec![otherwise],
        (true, Some(chosen)) => vec![chosen],
        (true, None) => ladder.to_vec(),
    }
}
