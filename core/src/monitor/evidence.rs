//! Evidence that adds up over a stream: weak and lasting anomalies, none of whose readings would raise an alarm.
//!
//! Both measures are of e = -ln p, which has a mean of 1 nat (an exponential distribution) for readings that are exchangeable with those that
//! calibrated the p-values:
//!
//! - the CUSUM S = max(0, S + min(e, cap) - reference), after Page, "Continuous inspection schemes", 1954;
//! - the power martingale M = Π ε p^(ε-1) for several ε, of which the best one counts as if the stake had been divided among them (Vovk,
//!   Nouretdinov, Gammerman, "Testing exchangeability on-line", 2003). By Ville's inequality, exchangeable readings ever bring it to 1/α with a
//!   probability of α at the most. Here the calibration stays as it was, and p-values are rounded up, so this is an approximation
//!   where calibration readings are few, and the bound is no promise where readings are correlated in time.

use super::SettingsView;
use crate::elementary::{Elementary, Libm};

/// The martingale's exponents ε: small ones bet on very low p-values, large ones on many that are somewhat low.
pub const EXPONENTS: [f32; 4] = [0.1, 0.3, 0.6, 0.9];

/// ln ε of each.
const LN_EXPONENTS: [f32; 4] = [-core::f32::consts::LN_10, -1.203_972_8, -0.510_825_6, -0.105_360_52];

/// ln 4: the stake is divided among them.
const LN_STAKES: f32 = 1.386_294_4;

/// No martingale goes below e^-20: a long normal time may not take as long to be lost again.
const LOWEST: f32 = -20.0;

/// None goes beyond e^80 either, where there is nothing left to say.
const HIGHEST: f32 = 80.0;

/// What has added up.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Evidence {
    /// The CUSUM, nats.
    pub cusum: f32,
    /// Logarithm of each exponent's martingale, nats.
    pub wealth: [f32; 4],
}

impl Evidence {
    /// Nothing yet.
    pub const NONE: Self = Self { cusum: 0.0, wealth: [0.0; 4] };

    /// Logarithm of the martingale, nats: that of the best exponent, less the stakes on the others.
    #[inline]
    #[must_use]
    pub fn martingale(&self) -> f32 {
        let [first, rest @ ..] = self.wealth;
        rest.into_iter().fold(first, |best, wealth| if wealth > best { wealth } else { best }) - LN_STAKES
    }

    /// Adds what a p-value says, above 0 and at most 1.
    #[inline]
    pub fn update(&mut self, settings: &SettingsView<'_>, p_value: f32) {
        let surprise = -<Libm as Elementary<f32>>::ln(p_value);
        let capped = if surprise > settings.cusum_cap { settings.cusum_cap } else { surprise };
        let sum = self.cusum + capped - settings.cusum_reference;
        // At twice the limit there is nothing left to add, and it comes down in a bounded time.
        let most = 2.0 * settings.cusum_limit;
        self.cusum = if sum > most {
            most
        } else if sum > 0.0 {
            sum
        } else {
            0.0
        };
        for ((wealth, exponent), ln) in self.wealth.iter_mut().zip(EXPONENTS).zip(LN_EXPONENTS) {
            let grown = *wealth + (ln + (1.0 - exponent) * surprise);
            *wealth = if grown > HIGHEST {
                HIGHEST
            } else if grown > LOWEST {
                grown
            } else {
                LOWEST
            };
        }
    }
}
