use super::super::{Note, Roles, notes};
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
        "column `t` grows from every row to the next, as a clock or a counter does: new readings will lie outside (--ignore t)"
    );
}
