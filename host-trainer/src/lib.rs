//! Fits flowlet models.
