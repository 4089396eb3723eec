// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! Files of an instance. It need not run.

use std::fmt;

use hyper::Method;
use hyper::header::CONTENT_TYPE;

use crate::path::ApiPath;
use crate::transport::{Call, Reply, whole};
use crate::types::decode;
use crate::{Error, Project, Result};

/// What kind of thing a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
}

impl FileType {
    fn as_str(self) -> &'static str {
        match self {
            FileType::File => "file",
            FileType::Directory => "directory",
            FileType::Symlink => "symlink",
        }
    }
}

impl fmt::Display for FileType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A file, or what a symbolic link leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// The bytes of a file; the target of a symbolic link, which Incus makes absolute and resolves.
    pub content: Vec<u8>,
    /// The owner, as the instance sees it.
    pub uid: u32,
    /// The group, as the instance sees it.
    pub gid: u32,
    /// The permissions, such as 0o644.
    pub mode: u32,
    /// What kind of thing it is.
    pub kind: FileType,
}

/// Whether to begin a file anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteMode {
    /// Begin anew.
    #[default]
    Overwrite,
    /// Go on at the end; the file must exist.
    Append,
}

/// Owner and permissions for something that is made. Incus does not apply them to what exists already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileAttr {
    /// The owner, as the instance sees it; root if not given.
    pub uid: Option<u32>,
    /// The group, as the instance sees it; root if not given.
    pub gid: Option<u32>,
    /// The permissions; Incus' default if not given.
    pub mode: Option<u32>,
    /// Whether to begin a file anew. Of no meaning for directories and links.
    pub write: WriteMode,
}

impl Project {
    /// Reads a file of at most `limit` bytes, or the target of a symbolic link: links are not followed.
    ///
    /// # Errors
    /// [`is_not_found`](Error::is_not_found) when there is no such instance or file,
    /// [`Error::WrongFileType`] for a directory, [`Error::TooLarge`] beyond the limit.
    pub async fn read_file(&self, instance: &str, path: &str, limit: usize) -> Result<File> {
        let mut reply = self.open_file(instance, path).await?;
        let kind = kind_of(&reply)?;
        if kind == FileType::Directory {
            return Err(wrong_type(path, FileType::File, kind));
        }
        let number = |name: &str| {
            reply
                .header(name)
                .parse::<u32>()
                .map_err(|_| bad_header(&reply, name))
        };
        let (uid, gid) = (number("x-incus-uid")?, number("x-incus-gid")?);
        let mode = u32::from_str_radix(reply.header("x-incus-mode"), 8)
            .map_err(|_| bad_header(&reply, "x-incus-mode"))?;
        let content = reply.bytes(limit).await.map_err(|error| match error {
            Error::TooLarge { limit, .. } => Error::TooLarge {
                what: format!("{path} in {instance}"),
                limit,
            },
            error => error,
        })?;
        Ok(File {
            content,
            uid,
            gid,
            mode,
            kind,
        })
    }

    /// The names in a directory, in no order.
    ///
    /// # Errors
    /// As [`Project::read_file`], with [`Error::WrongFileType`] for what is no directory.
    pub async fn list_directory(&self, instance: &str, path: &str) -> Result<Vec<String>> {
        let mut reply = self.open_file(instance, path).await?;
        let kind = kind_of(&reply)?;
        if kind != FileType::Directory {
            return Err(wrong_type(path, FileType::Directory, kind));
        }
        let envelope = reply.envelope().await?;
        if envelope.metadata.is_null() {
            return Ok(Vec::new());
        }
        decode(envelope.metadata).map_err(|error| reply.protocol(error.to_string()))
    }

    /// Writes a file. Its directory must exist; a symbolic link at its place is followed.
    ///
    /// # Errors
    /// When there is no such instance or directory, or storage is full.
    pub async fn write_file(
        &self,
        instance: &str,
        path: &str,
        content: impl Into<bytes::Bytes>,
        attr: FileAttr,
    ) -> Result<()> {
        self.post_file(instance, path, content.into(), attr, FileType::File)
            .await
    }

    /// Makes a directory. Its parent must exist; that it exists itself is no error.
    ///
    /// # Errors
    /// When there is no such instance or parent directory.
    pub async fn make_directory(&self, instance: &str, path: &str, attr: FileAttr) -> Result<()> {
        self.post_file(
            instance,
            path,
            bytes::Bytes::new(),
            attr,
            FileType::Directory,
        )
        .await
    }

    /// Makes a symbolic link to `target`, owned by root. That the same link exists is no error.
    ///
    /// # Errors
    /// When there is no such instance or parent directory, or something else is in its place.
    pub async fn make_symlink(&self, instance: &str, path: &str, target: &str) -> Result<()> {
        let target = bytes::Bytes::copy_from_slice(target.as_bytes());
        self.post_file(
            instance,
            path,
            target,
            FileAttr::default(),
            FileType::Symlink,
        )
        .await
    }

    /// Deletes a file, a symbolic link, or an empty directory.
    ///
    /// # Errors
    /// When it does not exist, or is a directory with something in it.
    pub async fn delete_file(&self, instance: &str, path: &str) -> Result<()> {
        self.client
            .done(Call::new(Method::DELETE, &self.file_path(instance, path)?))
            .await
    }

    fn file_path(&self, instance: &str, path: &str) -> Result<ApiPath> {
        Ok(self
            .path(&["instances", instance, "files"])?
            .query("path", path))
    }

    async fn open_file(&self, instance: &str, path: &str) -> Result<Reply> {
        let mut reply = self
            .client
            .transport
            .send(Call::new(Method::GET, &self.file_path(instance, path)?))
            .await?;
        if !reply.status.is_success() {
            reply.envelope().await?;
        }
        Ok(reply)
    }

    async fn post_file(
        &self,
        instance: &str,
        path: &str,
        content: bytes::Bytes,
        attr: FileAttr,
        kind: FileType,
    ) -> Result<()> {
        let write = match attr.write {
            WriteMode::Overwrite => "overwrite",
            WriteMode::Append => "append",
        };
        let mut call = Call::new(Method::POST, &self.file_path(instance, path)?)
            .header(CONTENT_TYPE.as_str(), "application/octet-stream")
            .header("x-incus-type", kind.as_str())
            .header("x-incus-write", write);
        for (name, value) in [("x-incus-uid", attr.uid), ("x-incus-gid", attr.gid)] {
            if let Some(value) = value {
                call = call.header(name, value.to_string());
            }
        }
        if let Some(mode) = attr.mode {
            call = call.header("x-incus-mode", format!("{mode:04o}"));
        }
        call.body = whole(content);
        self.client.done(call).await
    }
}

fn kind_of(reply: &Reply) -> Result<FileType> {
    match reply.header("x-incus-type") {
        "file" => Ok(FileType::File),
        "directory" => Ok(FileType::Directory),
        "symlink" => Ok(FileType::Symlink),
        _ => Err(bad_header(reply, "x-incus-type")),
    }
}

fn bad_header(reply: &Reply, name: &str) -> Error {
    reply.protocol(format!("the header {name} is {:?}", reply.header(name)))
}

fn wrong_type(path: &str, expected: FileType, found: FileType) -> Error {
    Error::WrongFileType {
        path: path.to_owned(),
        expected,
        found,
    }
}
