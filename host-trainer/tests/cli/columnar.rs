//! Parquet and Arrow IPC files, which a build with the feature `columnar` reads as it reads CSV.

use crate::Folder;

#[cfg(not(feature = "columnar"))]
#[test]
fn a_build_without_them_says_so() {
    let folder = Folder::with_model();
    folder.write("readings.parquet", "PAR1\u{15}\u{4} and so on");
    folder.write("readings.arrow", "ARROW1\0\0 and so on");
    for (file, format) in [("readings.parquet", "Parquet"), ("readings.arrow", "Arrow IPC")] {
        for command in [format!("fit {file} --out a.flow"), format!("score pump.flow {file}")] {
            assert_eq!(
                folder.fail(&command),
                format!(
                    "error: {file}: is {format}, and this build reads CSV only (build it with `--features columnar`, or save the table as CSV)\n"
                )
            );
        }
    }
}

#[cfg(feature = "columnar")]
mod built {
    use std::fs::{self, File};
    use std::io::Write;
    use std::process::Stdio;
    use std::sync::Arc;

    use arrow_array::types::Int8Type;
    use arrow_array::{
        ArrayRef, BooleanArray, DictionaryArray, Float32Array, Float64Array, Int32Array, RecordBatch, StringArray,
        TimestampSecondArray,
    };
    use arrow_ipc::writer::{FileWriter, StreamWriter};
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::WriterProperties;

    use super::Folder;
    use crate::{QUICK, cells, readings};

    /// Rows of a row group or record batch.
    const GROUP: usize = 70;

    /// The table of a CSV with a type for each column.
    fn typed(csv: &str) -> RecordBatch {
        let cells = cells(csv);
        let column = |index: usize| cells[1..].iter().map(move |row| row[index]);
        let single = |index| Arc::new(Float32Array::from_iter_values(column(index).map(|cell| cell.parse().unwrap())));
        let valve = Float64Array::from_iter_values(column(2).map(|cell| cell.parse().unwrap()));
        let run = Int32Array::from_iter_values(column(3).map(|cell| cell.parse().unwrap()));
        let kind: DictionaryArray<Int8Type> = column(4).collect();
        let label = BooleanArray::from_iter(column(5).map(|cell| Some(cell == "1")));
        let columns: [ArrayRef; 6] =
            [single(0), single(1), Arc::new(valve), Arc::new(run), Arc::new(kind), Arc::new(label)];
        RecordBatch::try_from_iter(cells[0].iter().zip(columns)).unwrap()
    }

    fn write_parquet(folder: &Folder, name: &str, batch: &RecordBatch) {
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(GROUP)).build();
        let file = File::create(folder.path(name)).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
        writer.write(batch).unwrap();
        writer.close().unwrap();
    }

    fn write_all(folder: &Folder, csv: &str, stem: &str) {
        folder.write(&format!("{stem}.csv"), csv);
        let batch = typed(csv);
        write_parquet(folder, &format!("{stem}.parquet"), &batch);
        let create = |extension| File::create(folder.path(&format!("{stem}.{extension}"))).unwrap();
        let mut file = FileWriter::try_new(create("arrow"), &batch.schema()).unwrap();
        let mut stream = StreamWriter::try_new(create("arrows"), &batch.schema()).unwrap();
        for start in (0..batch.num_rows()).step_by(GROUP) {
            let part = batch.slice(start, GROUP.min(batch.num_rows() - start));
            file.write(&part).unwrap();
            stream.write(&part).unwrap();
        }
        file.finish().unwrap();
        stream.finish().unwrap();
    }

    #[test]
    fn the_same_values_give_the_same_model_scores_and_measures() {
        let folder = Folder::new();
        write_all(&folder, &readings(400, 30, 1), "train");
        write_all(&folder, &readings(200, 100, 2), "test");
        let results = ["csv", "parquet", "arrow", "arrows"].map(|extension| {
            let options = "--label anomaly --group run --ignore kind --quiet --seed 3";
            folder.succeed(&format!("fit train.{extension} --out pump.flow {options} {QUICK}"));
            let scores = folder.succeed(&format!("score pump.flow test.{extension}"));
            let measures = folder.succeed(&format!("eval pump.flow test.{extension} --label anomaly --by kind"));
            (folder.read("pump.flow"), scores, measures)
        });
        for result in &results[1..] {
            assert!(result == &results[0]);
        }
    }

    #[test]
    fn a_stream_comes_by_standard_input_and_a_file_does_not() {
        let folder = Folder::with_model();
        write_all(&folder, &readings(100, 0, 2), "new");
        let score = |name: &str| {
            let mut score = folder.command("score pump.flow -");
            let mut score = score.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            // A program that refuses what it sees does not read all of it.
            let _ = score.stdin.take().unwrap().write_all(&folder.read(name));
            score.wait_with_output().unwrap()
        };
        assert_eq!(String::from_utf8(score("new.arrows").stdout).unwrap(), folder.succeed("score pump.flow new.csv"));
        assert_eq!(
            crate::stderr(&score("new.parquet")),
            "error: standard input: is Parquet, which is read from its end (give the file itself, or send CSV or an Arrow IPC stream)\n"
        );
    }

    /// A column of numbers among others that are fine.
    fn with(column: ArrayRef) -> RecordBatch {
        let rows = column.len();
        let fine = Arc::new(Int32Array::from_iter_values((0..rows as i32).map(|row| (row * 37) % 101))) as ArrayRef;
        RecordBatch::try_from_iter([("a", fine), ("b", column)]).unwrap()
    }

    #[test]
    fn what_is_wrong_is_named_with_its_row_group_and_row() {
        let folder = Folder::new();
        let value = |row: usize| (row % 13) as f64;
        let odd = |at: usize, odd: Option<f64>| -> ArrayRef {
            Arc::new(Float64Array::from_iter((0..200).map(|row| if row == at { odd } else { Some(value(row)) })))
        };
        let refused = |column: ArrayRef, expected: &str| {
            let batch = with(column);
            write_parquet(&folder, "odd.parquet", &batch);
            assert_eq!(folder.fail("fit odd.parquet --out a.flow"), format!("error: odd.parquet: {expected}\n"));
            // All of it is one record batch.
            let mut writer =
                FileWriter::try_new(File::create(folder.path("odd.arrow")).unwrap(), &batch.schema()).unwrap();
            writer.write(&batch).unwrap();
            writer.finish().unwrap();
            folder.fail("fit odd.arrow --out a.flow")
        };
        let missing = |place: &str| {
            format!(
                "1 of 200 rows has missing cells (empty or NaN), in `b` (1); the first in {place} (leave such rows out with --missing drop, have them filled in for training with --missing impute, or ignore the column with --ignore b)"
            )
        };
        let message = refused(odd(145, None), &missing("row 5 of row group 2"));
        assert_eq!(message, format!("error: odd.arrow: {}\n", missing("row 145 of record batch 0")));
        refused(odd(0, Some(f64::NAN)), &missing("row 0 of row group 0"));
        let message = refused(
            odd(145, Some(f64::INFINITY)),
            "row 5 of row group 2: column `b`: `inf` is not a finite number (ignore the column with --ignore b, or remove the row)",
        );
        assert!(message.starts_with("error: odd.arrow: row 145 of record batch 0: column `b`: `inf`"), "{message}");
        refused(
            odd(70, Some(-1e39)),
            "row 0 of row group 1: column `b`: `-1e39` is beyond a 32-bit float, which ends at 3.4e38 (use a larger unit, or remove the row)",
        );
        refused(
            Arc::new(TimestampSecondArray::from_iter_values(0..200)),
            "row 0 of row group 0: column `b`: its type is Timestamp(s), which is no number (ignore it with --ignore b)",
        );
        refused(
            Arc::new(StringArray::from_iter_values((0..200).map(|row| format!("run {row}")))),
            "row 0 of row group 0: column `b`: `run 0` is not a number, nor is anything in this column (ignore it with --ignore b)",
        );
    }

    #[test]
    fn damaged_files_are_refused() {
        let folder = Folder::with_model();
        write_all(&folder, &readings(200, 0, 2), "new");
        for (name, format) in [("new.parquet", "Parquet"), ("new.arrow", "Arrow IPC"), ("new.arrows", "Arrow IPC")] {
            let whole = folder.read(name);
            for end in [8, whole.len() / 2, whole.len() - 9] {
                fs::write(folder.path(name), &whole[..end]).unwrap();
                let output = folder.run(&format!("score pump.flow {name}"));
                let message = crate::stderr(&output);
                // A stream may end behind any of its batches.
                if name == "new.arrows" && output.status.success() {
                    continue;
                }
                assert!(
                    message.starts_with(&format!("error: {name}: cannot be read as {format}: ")),
                    "{end}: {message}"
                );
            }
        }
    }
}
