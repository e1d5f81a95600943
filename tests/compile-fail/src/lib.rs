//! Wrong programs that the compiler refuses: see `cases/`, each beside what the compiler says of it.
