//! Whether a model's log-densities have an exact account by features, and in which order.

use flowlet::model_file::MOST_FEATURES;
use flowlet::terms::Order;

use super::Model;

/// Why a model has no conditional terms, with the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTerms {
    /// A layer maps features together.
    #[error(
        "its layers (of the family `{family}`) do not map each feature by those before it, so its density is no product of \
         conditional ones: fit with --family maf-spline, naf or maf, and with --order fixed"
    )]
    Layers {
        /// The family of the model.
        family: &'static str,
    },
    /// The density is a mixture of several.
    #[error(
        "it is a mixture of {members} flows, and the product of conditional densities is another one in each: fit with \
         --members 1"
    )]
    Members {
        /// How many.
        members: usize,
    },
    /// The base's coordinates depend on each other.
    #[error(
        "the coordinates of its base are not independent, so its density is no product of conditional ones: fit with --base \
         normal or student-t"
    )]
    Base,
    /// Layers have different orders.
    #[error(
        "its features `{first}` and `{second}` are conditioned on each other, by layers with different orders, so its density is no \
         product of conditional ones: fit with --order fixed"
    )]
    Order {
        /// Name of one feature.
        first: String,
        /// Name of the other.
        second: String,
    },
}

impl Model {
    /// The order in which each feature is conditioned on those before it, as [`flowlet::Flow::order`].
    ///
    /// # Errors
    /// [`NoTerms`].
    ///
    /// # Panics
    /// Never: a body has all permutations.
    pub fn order(&self) -> Result<Order<MOST_FEATURES>, NoTerms> {
        if let members @ 2.. = self.architecture().members() {
            return Err(NoTerms::Members { members });
        }
        if !self.architecture().layers.is_triangular() {
            return Err(NoTerms::Layers { family: self.architecture().family() });
        }
        if !self.architecture().base.kind().is_independent() {
            return Err(NoTerms::Base);
        }
        let name = |feature: usize| self.metadata().features[feature].name.clone();
        match self.core().order(Some(self.body())) {
            Ok(order) => Ok(order.expect("a body has all permutations")),
            Err(error) => Err(NoTerms::Order { first: name(error.first), second: name(error.second) }),
        }
    }
}
