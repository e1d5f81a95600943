//! The registry of layer families: one line each, from which tests, golden vectors and the emulated devices all take
//! their models. A family that is not here is not tested, so every layer has its line.

/// Quads that hold so many values: for the widths of nets.
#[must_use]
pub const fn quads(values: usize) -> usize {
    values.div_ceil(4)
}

/// Hands the list of layer families to another macro.
///
/// ```
/// macro_rules! names {
///     ($features:literal, $context:literal; $($name:ident: $directions:ident $layer:ty;)*) => { [$(stringify!($name)),*] };
/// }
/// let with_nets = flowlet::registry!(names, Int8, d = 5, a = 2, b = 3, c = 0);
/// assert!(with_nets.contains(&"AffineCoupling"));
/// assert!(flowlet::registry!(names, None, d = 5, a = 2, b = 3, c = 0).contains(&"Permute"));
/// ```
///
/// The second argument chooses the families and the number format of their nets: `Float` or `Int8` is every family with
/// a net in this format, `None` every family without a net, `Base` every base. `d` features, of which a coupling keeps
/// `a` and transforms `b`, and `c` context values are literals. Families without a net take any context, and ignore it.
///
/// The callback gets `d, c; Name: directions Type; ..`, where `directions` is `both`, `inverse` (only data -> base) or
/// `forward` (only base -> data). Types are single layers; [`Chain`](crate::Chain) and arrays compose them.
#[macro_export]
macro_rules! registry {
    ($callback:ident, Float, d = $d:literal, a = $a:literal, b = $b:literal, c = $c:literal) => {
        $crate::registry! { @list $callback Float, $d, $a, $b, $c, Float }
    };
    ($callback:ident, Int8, d = $d:literal, a = $a:literal, b = $b:literal, c = $c:literal) => {
        $crate::registry! { @list $callback Int8, $d, $a, $b, $c, Int8 }
    };
    // The format is that of no family that is left.
    ($callback:ident, $kind:ident, d = $d:literal, a = $a:literal, b = $b:literal, c = $c:literal) => {
        $crate::registry! { @list $callback $kind, $d, $a, $b, $c, Float }
    };
    (@list $callback:ident $kind:ident, $d:literal, $a:literal, $b:literal, $c:literal, $net:ident) => {
        $crate::registry! { @choose $kind $callback, $d, $c;
            // With a net in either format.
            {
                AffineCoupling: both $crate::AffineCoupling<$a, $b, $crate::$net<{ $crate::registry::quads($a + $c) }, 2, 1, { $crate::registry::quads(2 * $b) }>>;
            }
            // With a net in f32 only.
            {
            }
            // Without a net.
            {
                Standardize: both $crate::Standardize<$d>;
                Permute: both $crate::Permute<$d>;
                Reverse: both $crate::Reverse;
                Cube: both $crate::Cube;
            }
            // Bases.
            {
                StandardNormal: both $crate::StandardNormal<$d>;
            }
        }
    };
    (@choose Float $callback:ident, $d:literal, $c:literal; { $($any:tt)* } { $($float:tt)* } $without:tt $base:tt) => {
        $callback! { $d, $c; $($any)* $($float)* }
    };
    (@choose Int8 $callback:ident, $d:literal, $c:literal; { $($any:tt)* } $float:tt $without:tt $base:tt) => {
        $callback! { $d, $c; $($any)* }
    };
    (@choose None $callback:ident, $d:literal, $c:literal; $any:tt $float:tt { $($without:tt)* } $base:tt) => {
        $callback! { $d, $c; $($without)* }
    };
    (@choose Base $callback:ident, $d:literal, $c:literal; $any:tt $float:tt $without:tt { $($base:tt)* }) => {
        $callback! { $d, $c; $($base)* }
    };
}
