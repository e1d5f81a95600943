use super::super::{Note, Place, Roles, notes};
use super::fit;

fn found(header: &str, row: impl Fn(usize) -> String) -> Vec<Note> {
    let text = (0..100).fold(header.to_owned() + "\n", |text, i| text + &row(i) + "\n");
    notes(&fit(&text, &Roles::default()).unwrap())
}

#[test]
fn ordinary_readings_need_no_note() {
    assert_eq!(found("a,b", |i| format!("{},{}", (i * 37) % 101, (i * i * 7) % 103)), []);
}

#[test]
fn oddities_are_noted() {
    let counter = found("n,a", |i| format!("{i},{}", (i * i) % 103));
    assert_eq!(counter, [Note::Counter { column: "n".to_owned(), grows: true }]);
    let falling = found("a,n", |i| format!("{},-{i}.5", (i * i) % 103));
    assert_eq!(falling, [Note::Counter { column: "n".to_owned(), grows: false }]);
    let copies = found("a,b", |i| format!("{},{}", i % 10, (i * i) % 10));
    assert_eq!(copies, [Note::RepeatedRows { copies: 90, rows: 100 }]);
    let alike = found("a,b", |i| format!("{},{}", (i * 37) % 101, 5.0 - 2.0 * ((i * 37) % 101) as f64));
    assert!(matches!(&alike[..], [Note::AlikeColumns { correlation, .. }] if *correlation < -0.9999), "{alike:?}");
}

#[test]
fn notes_say_what_to_do() {
    let note = Note::Counter { column: "t".to_owned(), grows: true };
    assert_eq!(
        note.to_string(),
        "column `t` only grows from row to row, as a clock or a counter does: new readings will lie outside (--ignore t)"
    );
}

/// Its 100 values are two in 32 bits, and it stands still now and then.
#[test]
fn seconds_since_1970_are_a_clock() {
    let clock = found("t,a", |i| format!("{}.0,{}", 1_700_000_000 + i - i % 3, (i * i) % 103));
    assert_eq!(clock[0], Note::Counter { column: "t".to_owned(), grows: true });
    let steps = found("stage,a", |i| format!("{},{}", i / 15, (i * 37) % 101));
    assert_eq!(steps, [], "seven stages are no clock");
}

#[test]
fn a_value_that_hides_all_others_is_noted_with_its_line() {
    let extreme = found("a,q", |i| {
        let q = if i == 70 { "1e9".to_owned() } else { format!("{}", (i * i * 7) % 103) };
        format!("{},{q}", (i * 37) % 101)
    });
    let [Note::Extreme { column, place: Place::Line(72), value: 1e9, ranges, found: 1, rows: 100 }] = &extreme[..]
    else {
        panic!("{extreme:?}")
    };
    assert!(column == "q" && (9e6..1.1e7).contains(ranges), "{ranges}");
    assert_eq!(
        extreme[0].to_string(),
        "column `q`: 1 of 100 values lies far from all others, 1000000000.0 on line 72 by 1e7 times their range: not trained on, but calibrated on if held back (remove the row unless it is normal)"
    );
}

#[test]
fn values_that_32_bits_hardly_tell_apart_are_noted() {
    let coarse = found("a,b", |i| format!("{},{}", (i * 37) % 101, 100_000.0 + 0.001 * ((i * i * 7) % 103) as f64));
    assert!(matches!(&coarse[..], [Note::Coarse { column, .. }] if column == "b"), "{coarse:?}");
    assert!(
        coarse[0].to_string().contains("which vary by 3.0e-2 around 1.0000e5: subtract an offset"),
        "{}",
        coarse[0]
    );
}
