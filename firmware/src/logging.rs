//! Log macros that vanish without the feature `defmt`, so that the application reads the same on host and board.

macro_rules! info {
    ($($argument:tt)*) => {
        #[cfg(feature = "defmt")]
        defmt::info!($($argument)*);
    };
}

macro_rules! warning {
    ($($argument:tt)*) => {
        #[cfg(feature = "defmt")]
        defmt::warn!($($argument)*);
    };
}

pub(crate) use {info, warning};
