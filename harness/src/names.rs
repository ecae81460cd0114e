//! Names that were meant: the nearest known one, and unique prefixes.

/// The known name nearest to `name`, if it is near enough to have been meant.
pub fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let distance = |other: &str| strsim::damerau_levenshtein(name, other);
    let allowed = (name.chars().count() / 3).max(2);
    known.into_iter().map(|it| (distance(it), it)).min().filter(|(far, _)| *far <= allowed).map(|(_, it)| it)
}
