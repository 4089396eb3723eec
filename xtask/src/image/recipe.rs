// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The recipe of an image: what `images/README.md` describes.

use anyhow::{Context as _, Result, bail};

/// A read `recipe` file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Recipe {
    pub(crate) os: String,
    pub(crate) suite: String,
    pub(crate) variant: String,
    pub(crate) description: String,
    pub(crate) packages: Vec<String>,
}

impl Recipe {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let lines = text
            .lines()
            .map(|line| line.split('#').next().unwrap_or_default().trim());
        let mut lines = lines.filter(|line| !line.is_empty());
        let mut keys = std::collections::BTreeMap::new();
        for line in lines.by_ref().take_while(|line| *line != "[packages]") {
            let Some((key, value)) = line.split_once('=') else {
                bail!("`{line}` is no `key = value`; packages come after a line `[packages]`");
            };
            keys.insert(key.trim(), value.trim().to_owned());
        }
        let packages: Vec<String> = lines.map(str::to_owned).collect();
        let mut take = |key: &str| {
            keys.remove(key)
                .with_context(|| format!("the key `{key}` is missing"))
        };
        let recipe = Self {
            os: take("os")?,
            suite: take("suite")?,
            variant: take("variant")?,
            description: take("description")?,
            packages,
        };
        if let Some(key) = keys.keys().next() {
            bail!("unknown key `{key}`");
        }
        if recipe.packages.is_empty() {
            bail!("no packages: they come after a line `[packages]`");
        }
        Ok(recipe)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# head\nos = Debian\nsuite = trixie\nvariant=minbase\ndescription = A b\n[packages]\na # why\nb\n";

    #[test]
    fn keys_and_packages() {
        let recipe = Recipe::parse(GOOD).unwrap();
        assert_eq!(
            (recipe.description.as_str(), recipe.packages),
            ("A b", vec!["a".to_owned(), "b".to_owned()])
        );
    }

    #[test]
    fn mistakes_are_named() {
        let cases = [
            (GOOD.replace("os = Debian\n", ""), "`os`"),
            (GOOD.replace("os =", "oss = x\nos ="), "`oss`"),
            (GOOD.replace("[packages]\n", ""), "`[packages]`"),
        ];
        for (text, wanted) in cases {
            let error = Recipe::parse(&text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
