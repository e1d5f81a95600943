//! How a net's hidden layers are connected and what they apply: as values, for host tools, and as types, for models.

use core::fmt::Debug;
use core::marker::PhantomData;

use crate::text::Text;

/// How the hidden layers are connected. The first matrix and the inner ones are W and b, in the order of their bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Body {
    /// h = act(W h + b), for every matrix.
    Plain,
    /// s = W x + b; then for every two matrices s += W₂ act(W₁ act(s) + b₁) + b₂. The last layer reads s (He, Zhang, Ren,
    /// Sun, "Identity mappings in deep residual networks", 2016, equation 1 with figure 4e).
    Residual,
    /// h = act(W x + b); then for every two matrices h = act(W₁ h + b₁) · sigmoid(W₂ h + b₂) (Dauphin, Fan, Auli,
    /// Grangier, "Language modeling with gated convolutional networks", 2017, equation 1).
    Gated,
}

impl Body {
    /// Its name, as in descriptions and in Rust.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "Plain",
            Self::Residual => "Residual",
            Self::Gated => "Gated",
        }
    }

    /// Whether the hidden-to-hidden matrices come in pairs, so that their number is even.
    #[must_use]
    pub const fn pairs(self) -> bool {
        !matches!(self, Self::Plain)
    }
}

/// What is applied to hidden units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Activation {
    /// max(0, x).
    Relu,
    /// x above zero, e^x - 1 below.
    Elu,
    /// tanh x.
    Tanh,
}

impl Activation {
    /// Its name, as in descriptions and in Rust.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Relu => "Relu",
            Self::Elu => "Elu",
            Self::Tanh => "Tanh",
        }
    }
}

/// [`Activation`] as a type.
pub trait ActivationType: Copy + Debug + 'static {
    /// As a value.
    const ACTIVATION: Activation;
}

/// [`Body`] and [`Activation`] as a type: [`Plain`], [`Residual`] or [`Gated`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no style of a conditioner",
    note = "a style is `Plain<A>`, `Residual<A>` or `Gated<A>`, with A one of `Relu`, `Elu` and `Tanh`"
)]
pub trait Style: Copy + Debug + 'static {
    /// How the hidden layers are connected.
    const BODY: Body;
    /// What is applied to their units.
    const ACTIVATION: Activation;
}

macro_rules! activations {
    ($($(#[$docs:meta])* $name:ident)*) => {$(
        $(#[$docs])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        pub struct $name;

        impl ActivationType for $name {
            const ACTIVATION: Activation = Activation::$name;
        }
    )*};
}

macro_rules! bodies {
    ($($(#[$docs:meta])* $name:ident)*) => {$(
        $(#[$docs])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        pub struct $name<A = Relu>(PhantomData<A>);

        impl<A: ActivationType> Style for $name<A> {
            const BODY: Body = Body::$name;
            const ACTIVATION: Activation = A::ACTIVATION;
        }
    )*};
}

activations! {
    /// [`Activation::Relu`] as a type.
    Relu
    /// [`Activation::Elu`] as a type.
    Elu
    /// [`Activation::Tanh`] as a type.
    Tanh
}

bodies! {
    /// [`Body::Plain`] as a type.
    Plain
    /// [`Body::Residual`] as a type.
    Residual
    /// [`Body::Gated`] as a type.
    Gated
}

/// Stops the build when matrices that come in pairs are odd in number.
pub(crate) const fn check_pairs(body: Body, deep: usize) {
    if body.pairs() && !deep.is_multiple_of(2) {
        let mut buffer = [0; 256];
        let mut text = Text::new(&mut buffer);
        text.word("flowlet: the conditioner has ");
        text.number(deep as u64);
        text.word(" hidden-to-hidden matrices, but its ");
        text.word(body.name());
        text.word(" body takes them in pairs: write ");
        text.number(deep as u64 - 1);
        text.word(" or ");
        text.number(deep as u64 + 1);
        panic!("{}", text.as_str());
    }
}
