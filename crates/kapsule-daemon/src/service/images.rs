// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Images: finding, listing, refreshing and deleting them. They are stored once, in Incus' default
//! project; a property tells whose an imported one is.

use incus::{CopyOptions, Image};
use kapsule_core::image::{self, ImageRef, LOCAL_SERVER};
use kapsule_core::settings::Settings;

use super::follow::follow;
use super::image_owners::{self, Deletion, is_visible};
use super::{Service, incus_error};
use crate::error::{Error, ErrorKind, Result};
use crate::ops::Reporter;

/// Image properties that hold default options: of simplestreams images and of imported ones.
const DEFAULT_OPTIONS: [&str; 2] = [
    "requirements.kapsule_default_options",
    "kapsule.default_options",
];

/// An image in Incus' store.
pub(super) struct LocalImage {
    pub(super) fingerprint: String,
    /// JSON, or empty.
    pub(super) default_options: String,
}

impl From<&Image> for LocalImage {
    fn from(image: &Image) -> Self {
        let property = |key: &&str| image.properties.get(*key).cloned();
        Self {
            fingerprint: image.fingerprint.clone(),
            default_options: DEFAULT_OPTIONS
                .iter()
                .find_map(property)
                .unwrap_or_default(),
        }
    }
}

impl Service {
    /// The address of an image's server; none for the local store.
    pub(super) fn server_address(
        &self,
        image: &ImageRef,
        settings: &Settings,
    ) -> Result<Option<String>> {
        server_address(&image.server, settings)
    }

    /// Finds an image in the store, or downloads it from its server.
    pub(super) async fn find_image(
        &self,
        user: u32,
        image: &ImageRef,
        server: Option<String>,
        reporter: &Reporter,
    ) -> Result<LocalImage> {
        let images = self.incus.images().await.map_err(incus_error)?;
        let visible = images
            .iter()
            .filter(|candidate| is_visible(candidate, user));
        let Some(server) = server else {
            let has_alias = |candidate: &&Image| {
                candidate
                    .aliases
                    .iter()
                    .any(|alias| alias.name == image.alias)
            };
            return visible.into_iter().find(has_alias).map(LocalImage::from).ok_or_else(|| {
                Error::new(
                    ErrorKind::NotFound,
                    format!(
                        "there is no local image '{}'. 'kapsule image list' shows those there are, \
                         'kapsule image import' adds one",
                        image.alias
                    ),
                )
            });
        };
        let from_there = |candidate: &&Image| {
            candidate
                .update_source
                .as_ref()
                .is_some_and(|source| source.server == server && source.alias == image.alias)
        };
        if let Some(found) = visible.into_iter().find(from_there) {
            return Ok(found.into());
        }
        let fingerprint = self.download(image, &server, reporter).await?;
        let downloaded = self.incus.image(&fingerprint).await.map_err(incus_error)?;
        Ok((&downloaded.value).into())
    }

    async fn download(
        &self,
        image: &ImageRef,
        server: &str,
        reporter: &Reporter,
    ) -> Result<String> {
        reporter.info(format!("Downloading image {image}"));
        let options = CopyOptions {
            auto_update: true,
            ..CopyOptions::default()
        };
        let problem =
            |error: Error| error.context(format!("cannot download image {image} from {server}"));
        let operation = self
            .incus
            .copy_image_from_simplestreams(server, &image.alias, &options)
            .await
            .map_err(|error| problem(incus_error(error)))?;
        let done = follow(operation, reporter, &format!("Downloading {image}"))
            .await
            .map_err(problem)?;
        done.fingerprint().map(str::to_owned).ok_or_else(|| {
            Error::failed(format!(
                "Incus downloaded image {image} and does not tell which one it is"
            ))
        })
    }

    /// The images that a user may use, as Incus' JSON.
    pub(crate) async fn images_json(&self, user: u32) -> Result<String> {
        let images = self.incus.images().await.map_err(incus_error)?;
        let mut visible: Vec<Image> = images
            .into_iter()
            .filter(|image| is_visible(image, user))
            .collect();
        // Incus has no order of its own.
        visible.sort_by(|one, other| one.fingerprint.cmp(&other.fingerprint));
        let raw: Vec<_> = visible.into_iter().map(|image| image.raw).collect();
        Ok(serde_json::Value::Array(raw).to_string())
    }

    /// Deletes an image by alias, fingerprint or the beginning of one.
    pub(crate) async fn delete_image(
        &self,
        user: u32,
        identifier: &str,
        reporter: &Reporter,
    ) -> Result<()> {
        let images = self.incus.images().await.map_err(incus_error)?;
        let visible: Vec<&Image> = images
            .iter()
            .filter(|image| is_visible(image, user))
            .collect();
        let image = pick(&visible, identifier)?;
        match image_owners::deletion(image, user) {
            Deletion::Whole => self.delete_whole_image(image, reporter).await?,
            Deletion::Share => self.give_up_image(user, image).await?,
            // Root's image under a name that the user gave it: the name goes.
            Deletion::Refused if names(image, identifier, user) => {
                self.incus
                    .delete_alias(identifier)
                    .await
                    .map_err(incus_error)?;
            }
            Deletion::Refused => {
                return Err(Error::new(
                    ErrorKind::AccessDenied,
                    format!("image '{identifier}' is not yours: only root can delete it"),
                ));
            }
        }
        reporter.success(format!("Image '{identifier}' is deleted"));
        Ok(())
    }

    pub(super) async fn delete_whole_image(
        &self,
        image: &Image,
        reporter: &Reporter,
    ) -> Result<()> {
        let operation = self
            .incus
            .delete_image(&image.fingerprint)
            .await
            .map_err(incus_error)?;
        follow(operation, reporter, "Deleting the image")
            .await
            .map(drop)
    }

    /// Takes a user's aliases and ownership away from an image that others have too.
    pub(super) async fn give_up_image(&self, user: u32, image: &Image) -> Result<()> {
        let description = image_owners::alias_description(user);
        for alias in image
            .aliases
            .iter()
            .filter(|alias| alias.description == description)
        {
            self.incus
                .delete_alias(&alias.name)
                .await
                .map_err(incus_error)?;
        }
        let mut put = image.to_put();
        put.properties.remove(&image_owners::property(user));
        self.incus
            .update_image(&image.fingerprint, &put, None)
            .await
            .map_err(incus_error)
    }

    /// Brings downloaded images up to date: all (empty spec), those of an alias, or one
    /// `server:alias`.
    pub(crate) async fn refresh_images(
        &self,
        user: u32,
        settings: &Settings,
        spec: &str,
        reporter: &Reporter,
    ) -> Result<()> {
        let filter = Filter::parse(spec, settings)?;
        let images = self.incus.images().await.map_err(incus_error)?;
        let wanted: Vec<&Image> = images
            .iter()
            .filter(|image| is_visible(image, user) && filter.matches(image))
            .collect();
        if wanted.is_empty() {
            if spec.is_empty() {
                reporter.warning("There are no downloaded images to refresh");
                return Ok(());
            }
            return Err(Error::new(
                ErrorKind::NotFound,
                format!(
                    "no downloaded image matches '{spec}'. 'kapsule image list' shows those there are"
                ),
            ));
        }
        reporter.info(format!("Found {} image(s) to refresh", wanted.len()));
        let mut refreshed = 0;
        for image in &wanted {
            match self.refresh_one(image, &reporter.indented()).await {
                Ok(()) => refreshed += 1,
                Err(error) if error.kind == ErrorKind::Cancelled => return Err(error),
                Err(error) => reporter.error(format!("{}: {error}", title(image))),
            }
        }
        reporter.success(format!("Refreshed {refreshed}/{} image(s)", wanted.len()));
        Ok(())
    }

    async fn refresh_one(&self, image: &Image, reporter: &Reporter) -> Result<()> {
        let operation = self
            .incus
            .refresh_image(&image.fingerprint)
            .await
            .map_err(incus_error)?;
        let done = follow(operation, reporter, &title(image)).await?;
        let newer = done
            .metadata
            .get("refreshed")
            .and_then(serde_json::Value::as_bool)
            .unwrap_or(false);
        reporter.dim(format!(
            "{}: {}",
            title(image),
            if newer {
                "updated"
            } else {
                "already up to date"
            }
        ));
        Ok(())
    }
}

fn server_address(server: &str, settings: &Settings) -> Result<Option<String>> {
    if server == LOCAL_SERVER {
        return Ok(None);
    }
    settings
        .servers
        .get(server)
        .cloned()
        .map(Some)
        .ok_or_else(|| {
            let mut known: Vec<&str> = settings.servers.keys().map(String::as_str).collect();
            known.push(LOCAL_SERVER);
            Error::invalid(format!(
                "Unknown server alias '{server}'. Known aliases: {}",
                known.join(", ")
            ))
        })
}

/// The one image that an identifier means.
fn pick<'a>(images: &[&'a Image], identifier: &str) -> Result<&'a Image> {
    if let Some(image) = images
        .iter()
        .find(|image| image.aliases.iter().any(|alias| alias.name == identifier))
    {
        return Ok(image);
    }
    let is_hex = identifier.len() >= 6 && identifier.chars().all(|c| c.is_ascii_hexdigit());
    let matching: Vec<_> = images
        .iter()
        .filter(|image| is_hex && image.fingerprint.starts_with(identifier))
        .collect();
    match matching.as_slice() {
        [image] => Ok(image),
        [] => Err(Error::new(
            ErrorKind::NotFound,
            format!("there is no image '{identifier}'. 'kapsule image list' shows those there are"),
        )),
        _ => Err(Error::invalid(format!(
            "'{identifier}' is the beginning of several fingerprints: give more of it"
        ))),
    }
}

/// Whether the identifier is a name that the user gave to the image.
fn names(image: &Image, identifier: &str, user: u32) -> bool {
    let mut aliases = image.aliases.iter();
    aliases.any(|alias| alias.name == identifier && image_owners::may_move(alias, user))
}

/// What to call an image in messages.
fn title(image: &Image) -> String {
    match &image.update_source {
        Some(source) if !source.alias.is_empty() => source.alias.clone(),
        _ => image.fingerprint.chars().take(12).collect(),
    }
}

/// Which downloaded images to refresh.
struct Filter {
    server: Option<String>,
    alias: Option<String>,
}

impl Filter {
    fn parse(spec: &str, settings: &Settings) -> Result<Self> {
        if spec.is_empty() {
            return Ok(Self {
                server: None,
                alias: None,
            });
        }
        let (server, alias) = match spec.split_once(':') {
            Some((server, alias)) => {
                let address = server_address(server, settings)?;
                let address = address.ok_or_else(|| {
                    Error::invalid("images of the local store have no server to be refreshed from; import them again")
                })?;
                (Some(address), alias)
            }
            None => (None, spec),
        };
        image::check_alias(alias)?;
        Ok(Self {
            server,
            alias: Some(alias.to_owned()),
        })
    }

    fn matches(&self, image: &Image) -> bool {
        let Some(source) = &image.update_source else {
            return false;
        };
        image.auto_update
            && self
                .server
                .as_ref()
                .is_none_or(|server| *server == source.server)
            && self
                .alias
                .as_ref()
                .is_none_or(|alias| *alias == source.alias)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(fingerprint: &str, alias: &str) -> Image {
        let mut image = Image {
            fingerprint: fingerprint.to_owned(),
            ..Image::default()
        };
        image.aliases = vec![incus::ImageAlias {
            name: alias.to_owned(),
            ..Default::default()
        }];
        image
    }

    #[test]
    fn an_unknown_server_is_told_with_the_known_ones() {
        let error = server_address("nope", &Settings::default())
            .unwrap_err()
            .message;
        assert!(
            error.contains("Unknown server alias")
                && error.contains("Known aliases: images, ubuntu, local"),
            "{error}"
        );
        assert_eq!(server_address("local", &Settings::default()).unwrap(), None);
    }

    #[test]
    fn picks_by_alias_then_by_fingerprint() {
        let (a, b) = (image("aaaaaa11", "x"), image("aaaaaa22", "y"));
        let images = [&a, &b];
        assert_eq!(pick(&images, "y").unwrap().fingerprint, "aaaaaa22");
        assert_eq!(pick(&images, "aaaaaa1").unwrap().fingerprint, "aaaaaa11");
        for bad in ["aaaaaa", "aaa", "zzzzzz", "", "../x"] {
            assert!(pick(&images, bad).is_err(), "{bad}");
        }
    }
}
