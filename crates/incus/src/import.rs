// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! Uploading images, streamed: never more than a buffer of them is in memory.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use http_body_util::StreamBody;
use hyper::Method;
use hyper::body::Frame;
use hyper::header::CONTENT_TYPE;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::path::{ApiPath, encode_pairs};
use crate::transport::{Body, BodyError, Call};
use crate::{Client, Config, Operation, Result};

/// How much is read at once.
const CHUNK: usize = 128 * 1024;

/// What to do with an image that is uploaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Names to give it. A name that is taken makes the operation fail.
    pub aliases: Vec<String>,
    /// Properties to add to those in its metadata, or to replace them. Incus 6 and 7 break off when the image's own
    /// metadata has no `properties` at all, so have at least one there.
    pub properties: Config,
    /// Whether anyone may download it from here.
    pub public: bool,
    /// The file name Incus shall remember; of the root file system when there are two files.
    pub filename: Option<String>,
    /// The SHA-256 the image must have (of both files one after the other), or else the operation fails.
    pub fingerprint: Option<String>,
}

impl ImportOptions {
    fn apply(&self, mut call: Call) -> Call {
        // Incus keeps the upload going for as long as bytes come, and so does this crate.
        call.time = None;
        if self.public {
            call = call.header("x-incus-public", "true");
        }
        if !self.aliases.is_empty() {
            let aliases = self.aliases.iter().map(|alias| ("alias", alias.as_str()));
            call = call.header("x-incus-aliases", encode_pairs(aliases));
        }
        if !self.properties.is_empty() {
            let properties = self
                .properties
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str()));
            call = call.header("x-incus-properties", encode_pairs(properties));
        }
        if let Some(fingerprint) = &self.fingerprint {
            call = call.header("x-incus-fingerprint", fingerprint);
        }
        call
    }
}

impl Client {
    /// Uploads an image of two files: metadata (a tarball) and root file system (a tarball or squashfs).
    ///
    /// Incus reads all of it before there is an operation; then the operation unpacks and registers it. The
    /// operation's metadata has its `fingerprint`.
    ///
    /// # Errors
    /// When a file cannot be read or the connection breaks; an unusable image shows in the operation.
    pub async fn import_image_split(
        &self,
        metadata: impl AsyncRead + Send + 'static,
        rootfs: impl AsyncRead + Send + 'static,
        options: &ImportOptions,
    ) -> Result<Operation> {
        let boundary = boundary();
        let filename = options.filename.as_deref().unwrap_or("rootfs");
        let body = part_head(&boundary, "metadata", "metadata", true)
            .chain(chunks(metadata))
            .chain(part_head(&boundary, "rootfs", filename, false))
            .chain(chunks(rootfs))
            .chain(text(format!("\r\n--{boundary}--\r\n")));
        let call = Call::new(Method::POST, &ApiPath::root_with(&["images"])).header(
            CONTENT_TYPE.as_str(),
            format!("multipart/form-data; boundary={boundary}"),
        );
        self.upload(options.apply(call), body).await
    }

    /// Uploads an image that is one tarball, with `metadata.yaml` and `rootfs/` in it.
    ///
    /// # Errors
    /// As [`Client::import_image_split`].
    pub async fn import_image_unified(
        &self,
        tarball: impl AsyncRead + Send + 'static,
        options: &ImportOptions,
    ) -> Result<Operation> {
        let mut call = Call::new(Method::POST, &ApiPath::root_with(&["images"]))
            .header(CONTENT_TYPE.as_str(), "application/octet-stream");
        if let Some(filename) = &options.filename {
            call = call.header("x-incus-filename", filename);
        }
        self.upload(options.apply(call), chunks(tarball)).await
    }

    async fn upload(
        &self,
        mut call: Call,
        body: impl Stream<Item = Chunk> + Send + 'static,
    ) -> Result<Operation> {
        call.body = Body::new(StreamBody::new(body.map(|chunk| chunk.map(Frame::data))));
        self.start(call).await
    }
}

type Chunk = std::result::Result<Bytes, BodyError>;

/// The content of a reader. Its length need not be known: HTTP sends it in chunks.
fn chunks(reader: impl AsyncRead + Send + 'static) -> impl Stream<Item = Chunk> + Send {
    stream::try_unfold(Box::pin(reader), async |mut reader| {
        let mut buffer = bytes::BytesMut::with_capacity(CHUNK);
        let count = reader
            .read_buf(&mut buffer)
            .await
            .map_err(|error| BodyError::from(format!("the image file cannot be read: {error}")))?;
        Ok((count > 0).then(|| (buffer.freeze(), reader)))
    })
}

fn text(text: String) -> impl Stream<Item = Chunk> + Send {
    stream::iter([Ok(Bytes::from(text))])
}

/// What stands before a part of a multipart body (RFC 7578).
fn part_head(
    boundary: &str,
    name: &str,
    filename: &str,
    first: bool,
) -> impl Stream<Item = Chunk> + Send + use<> {
    let line = if first { "" } else { "\r\n" };
    // RFC 7578 leaves quoting to browsers' habit; a name without what needs quoting is what everybody reads alike.
    let filename: String = filename
        .chars()
        .map(|c| {
            if c.is_ascii_graphic() && !matches!(c, '"' | '\\') {
                c
            } else {
                '_'
            }
        })
        .collect();
    text(format!(
        "{line}--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{filename}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    ))
}

/// A boundary that is in neither file, for all practical purposes: it is random.
fn boundary() -> String {
    let mut text = "incus".to_owned();
    for _ in 0..2 {
        text.push_str(&format!(
            "{:016x}",
            RandomState::new().build_hasher().finish()
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn collect(stream: impl Stream<Item = Chunk>) -> String {
        let mut stream = std::pin::pin!(stream);
        let mut all = Vec::new();
        while let Some(chunk) = stream.next().await {
            all.extend_from_slice(&chunk.unwrap());
        }
        String::from_utf8(all).unwrap()
    }

    #[tokio::test]
    async fn readers_are_sent_whole() {
        let content = "x".repeat(3 * CHUNK + 7);
        let reader = std::io::Cursor::new(content.clone());
        assert_eq!(collect(chunks(reader)).await, content);
    }

    #[tokio::test]
    async fn file_names_cannot_break_out() {
        let head = collect(part_head("b", "rootfs", "a\"\r\nX: y\\é", false)).await;
        assert_eq!(
            head,
            "\r\n--b\r\nContent-Disposition: form-data; name=\"rootfs\"; filename=\"a___X:_y__\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
    }

    #[test]
    fn boundaries_differ() {
        assert_ne!(boundary(), boundary());
        assert!(boundary().len() <= 70);
    }
}
