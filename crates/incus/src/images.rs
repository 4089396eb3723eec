// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! Images: list, download, refresh, delete, and their aliases. Uploading one is in [`crate::ImportOptions`].

use hyper::Method;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::path::ApiPath;
use crate::transport::Call;
use crate::types::{decode, time};
use crate::{Client, Config, Error, Operation, Result, Versioned};

/// An image as Incus describes it (`Image` in `rest-api.yaml`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Image {
    /// The SHA-256 that is its name.
    pub fingerprint: String,
    /// Its aliases.
    pub aliases: Vec<ImageAlias>,
    /// The processor architecture.
    pub architecture: String,
    /// Whether Incus keeps it up to date from its source.
    pub auto_update: bool,
    /// Whether it is only here because an instance was made from it.
    pub cached: bool,
    /// When it was built.
    #[serde(deserialize_with = "time")]
    pub created_at: Option<Timestamp>,
    /// When it expires.
    #[serde(deserialize_with = "time")]
    pub expires_at: Option<Timestamp>,
    /// When an instance was last made from it.
    #[serde(deserialize_with = "time")]
    pub last_used_at: Option<Timestamp>,
    /// When it came here.
    #[serde(deserialize_with = "time")]
    pub uploaded_at: Option<Timestamp>,
    /// The name of its file.
    pub filename: String,
    /// Profiles instances of it get.
    pub profiles: Vec<String>,
    /// The project it is in.
    pub project: String,
    /// `os`, `release`, `description` and whatever else it says of itself.
    pub properties: Config,
    /// Whether anyone may download it from here.
    pub public: bool,
    /// Bytes it takes as it is stored.
    pub size: i64,
    /// `container` or `virtual-machine`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it came from, if it was downloaded.
    pub update_source: Option<ImageSource>,
    /// All that Incus said of it, also what this crate does not know.
    #[serde(skip)]
    pub raw: Value,
}

impl Image {
    /// What can be changed of it, as it is.
    pub fn to_put(&self) -> ImagePut {
        ImagePut {
            auto_update: self.auto_update,
            public: self.public,
            properties: self.properties.clone(),
            profiles: self.profiles.clone(),
        }
    }

    /// Reads an image and keeps what it was read from.
    fn from_raw(raw: Value) -> serde_json::Result<Image> {
        let mut image: Image = decode(raw.clone())?;
        image.raw = raw;
        Ok(image)
    }
}

/// A name of an image, as listed with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageAlias {
    /// The name.
    pub name: String,
    /// A text for people.
    pub description: String,
}

/// Where an image came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageSource {
    /// The server's address.
    pub server: String,
    /// `simplestreams`, `incus` or `oci`.
    pub protocol: String,
    /// The image's alias on the server.
    pub alias: String,
    /// The server's certificate, when it is not one everybody trusts.
    pub certificate: String,
    /// `container` or `virtual-machine`.
    pub image_type: String,
}

/// An alias and what it stands for (`ImageAliasesEntry` in `rest-api.yaml`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageAliasEntry {
    /// The name.
    pub name: String,
    /// The fingerprint of the image.
    pub target: String,
    /// A text for people.
    pub description: String,
    /// `container` or `virtual-machine`; left out when a new alias is made, since Incus knows it.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
}

/// What can be changed in an alias, whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImageAliasPut {
    /// The fingerprint of the image.
    pub target: String,
    /// A text for people.
    pub description: String,
}

/// What can be changed in an image, whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImagePut {
    /// Whether Incus keeps it up to date.
    pub auto_update: bool,
    /// Whether anyone may download it.
    pub public: bool,
    /// Its properties.
    pub properties: Config,
    /// Profiles for instances made from it.
    pub profiles: Vec<String>,
}

/// What to do with an image that is downloaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopyOptions {
    /// Whether Incus shall keep it up to date.
    pub auto_update: bool,
    /// Whether anyone may download it from here.
    pub public: bool,
    /// Local names to give it. A name that is taken makes the operation fail.
    pub aliases: Vec<String>,
    /// `virtual-machine`, or empty for a container image.
    pub kind: String,
}

impl Client {
    /// All images.
    ///
    /// # Errors
    /// When Incus cannot be reached.
    pub async fn images(&self) -> Result<Vec<Image>> {
        let path = ApiPath::root_with(&["images"]).query("recursion", "1");
        let raw: Vec<Value> = self.transport.get(&path).await?.value;
        raw.into_iter()
            .map(|raw| Image::from_raw(raw).map_err(|error| not_understood(&path, &error)))
            .collect()
    }

    /// One image, by fingerprint or an unambiguous beginning of it.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) when there is none.
    pub async fn image(&self, fingerprint: &str) -> Result<Versioned<Image>> {
        let path = ApiPath::new(&["images", fingerprint])?;
        let Versioned { value, etag } = self.transport.get(&path).await?;
        let value = Image::from_raw(value).map_err(|error| not_understood(&path, &error))?;
        Ok(Versioned { value, etag })
    }

    /// Replaces what can be changed of an image. With an ETag, only if it is still as it was read.
    ///
    /// # Errors
    /// When it does not exist, or was changed meanwhile.
    pub async fn update_image(
        &self,
        fingerprint: &str,
        put: &ImagePut,
        etag: Option<&str>,
    ) -> Result<()> {
        let path = ApiPath::new(&["images", fingerprint])?;
        self.done(Call::new(Method::PUT, &path).json(put)?.if_match(etag))
            .await
    }

    /// Deletes an image with its aliases. Instances made from it stay.
    ///
    /// # Errors
    /// When it does not exist.
    pub async fn delete_image(&self, fingerprint: &str) -> Result<Operation> {
        self.start(Call::new(
            Method::DELETE,
            &ApiPath::new(&["images", fingerprint])?,
        ))
        .await
    }

    /// Makes Incus look for a newer version of a downloaded image. The operation's metadata says `refreshed`.
    ///
    /// # Errors
    /// When it does not exist; that it was not downloaded shows in the operation.
    pub async fn refresh_image(&self, fingerprint: &str) -> Result<Operation> {
        self.start(Call::new(
            Method::POST,
            &ApiPath::new(&["images", fingerprint, "refresh"])?,
        ))
        .await
    }

    /// Downloads an image from a simplestreams server. The operation's metadata has its `fingerprint`
    /// ([`OperationInfo::fingerprint`](crate::OperationInfo::fingerprint)).
    ///
    /// # Errors
    /// When the request is refused; a server that cannot be reached, or has no such image, shows in the operation.
    pub async fn copy_image_from_simplestreams(
        &self,
        server: &str,
        alias: &str,
        options: &CopyOptions,
    ) -> Result<Operation> {
        let aliases: Vec<_> = options
            .aliases
            .iter()
            .map(|name| ImageAlias {
                name: name.clone(),
                ..ImageAlias::default()
            })
            .collect();
        let post = json!({
            "auto_update": options.auto_update,
            "public": options.public,
            "aliases": aliases,
            "source": {
                "type": "image",
                "mode": "pull",
                "protocol": "simplestreams",
                "server": server,
                "alias": alias,
                "image_type": if options.kind.is_empty() { "container" } else { &options.kind },
            },
        });
        self.start(Call::new(Method::POST, &ApiPath::root_with(&["images"])).json(&post)?)
            .await
    }

    /// All aliases.
    ///
    /// # Errors
    /// When Incus cannot be reached.
    pub async fn image_aliases(&self) -> Result<Vec<ImageAliasEntry>> {
        let path = ApiPath::root_with(&["images", "aliases"]).query("recursion", "1");
        Ok(self.transport.get(&path).await?.value)
    }

    /// One alias.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) when there is none of that name.
    pub async fn image_alias(&self, name: &str) -> Result<Versioned<ImageAliasEntry>> {
        self.transport
            .get(&ApiPath::new(&["images", "aliases", name])?)
            .await
    }

    /// Makes an alias.
    ///
    /// # Errors
    /// [`is_conflict`](crate::Error::is_conflict) when there is one of that name,
    /// [`is_not_found`](crate::Error::is_not_found) when there is no such image.
    pub async fn create_alias(&self, alias: &ImageAliasEntry) -> Result<()> {
        self.done(Call::new(Method::POST, &ApiPath::root_with(&["images", "aliases"])).json(alias)?)
            .await
    }

    /// Makes an alias stand for another image. With an ETag, only if it is still as it was read.
    ///
    /// # Errors
    /// When the alias or the image does not exist.
    pub async fn update_alias(
        &self,
        name: &str,
        put: &ImageAliasPut,
        etag: Option<&str>,
    ) -> Result<()> {
        let path = ApiPath::new(&["images", "aliases", name])?;
        self.done(Call::new(Method::PUT, &path).json(put)?.if_match(etag))
            .await
    }

    /// Deletes an alias. The image stays.
    ///
    /// # Errors
    /// When it does not exist.
    pub async fn delete_alias(&self, name: &str) -> Result<()> {
        self.done(Call::new(
            Method::DELETE,
            &ApiPath::new(&["images", "aliases", name])?,
        ))
        .await
    }
}

fn not_understood(path: &ApiPath, error: &serde_json::Error) -> Error {
    Error::Protocol {
        method: "GET".to_owned(),
        path: path.to_string(),
        problem: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_keeps_all_that_incus_said() {
        let raw = json!({
            "fingerprint": "ab", "aliases": [{"name": "x", "description": ""}], "size": 5, "type": "container",
            "properties": {"os": "Debian"}, "profiles": null, "something_new": {"a": null},
            "update_source": {"alias": "debian/13", "server": "https://example.org", "protocol": "simplestreams"},
        });
        let image = Image::from_raw(raw.clone()).unwrap();
        assert_eq!(
            (
                image.size,
                image.kind.as_str(),
                image.aliases[0].name.as_str()
            ),
            (5, "container", "x")
        );
        assert_eq!(image.update_source.as_ref().unwrap().alias, "debian/13");
        assert_eq!(image.raw, raw);
    }

    #[test]
    fn an_uploaded_image_has_no_source() {
        assert_eq!(
            Image::from_raw(json!({"update_source": null}))
                .unwrap()
                .update_source,
            None
        );
    }
}
