//! The operations on objects: get, list, create, replace. Every write carries the version it was decided on.
//!
//! Each operation exists for a type that implements [`Object`], and as `..._json` for objects as they travel.

use serde_json::Value;

use super::client::{KubeClient, KubeError};
use super::list::ListPage;
use super::metadata::{InvalidObject, Object, wipe};
use super::resource::{Resource, WatchTarget};
use crate::base::limits::{API_REQUEST, PAGE_OBJECTS, PAGE_OCTETS_MAX};
use crate::base::name::ObjectRef;
use crate::http::Method;

/// Whether a write is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DryRun {
    /// The server stores the object.
    Real,
    /// The server checks everything (permission, admission, quota, validity) and stores nothing.
    DryRun,
}

impl DryRun {
    fn query(self) -> &'static str {
        match self {
            DryRun::Real => "?fieldManager=notariat",
            DryRun::DryRun => "?fieldManager=notariat&dryRun=All",
        }
    }
}

impl KubeClient {
    /// Reads an object. `None` when it does not exist, which only a 404 of the API server itself says.
    ///
    /// # Errors
    /// When the object could not be read.
    pub fn get<O: Object>(&self, at: &ObjectRef) -> Result<Option<O>, KubeError> {
        self.get_json(O::RESOURCE, at)?.map(O::from_json).transpose().map_err(KubeError::Object)
    }

    /// Reads the objects that `target` selects, page by page, and passes each on.
    ///
    /// # Errors
    /// When the list could not be read to its end.
    pub fn list<O: Object>(
        &self,
        target: &WatchTarget,
        each: &mut dyn FnMut(Result<O, InvalidObject>),
    ) -> Result<(), KubeError> {
        let mut continue_token: Option<String> = None;
        loop {
            let path = target.list_path(PAGE_OBJECTS, continue_token.as_deref());
            // A page that breaks off is read again, so its objects are passed on when it is complete.
            let (items, page) = self.with_retries(&path, |deadline| {
                let mut items = Vec::new();
                let body = self.open(&path, API_REQUEST, deadline)?.body(PAGE_OCTETS_MAX);
                let page = ListPage::read(body, |item| {
                    items.push(item);
                    true
                })?;
                Ok((items, page))
            })?;
            items.into_iter().for_each(|item| each(O::from_json(item)));
            continue_token = page.continue_token;
            if continue_token.is_none() {
                return Ok(());
            }
        }
    }

    /// Creates an object. Returns it as stored, and after a dry run as given: what is not stored has no version.
    ///
    /// # Errors
    /// When the object was not created.
    pub fn create<O: Object>(&self, object: &O, mode: DryRun) -> Result<O, KubeError> {
        self.write(object, mode, |json| {
            self.create_json(O::RESOURCE, &object.metadata().reference.namespace, json, mode)
        })
    }

    /// Replaces an object, which carries the version that it is to replace. Returns it as [`KubeClient::create`] does.
    ///
    /// # Errors
    /// When the object was not replaced.
    pub fn replace<O: Object>(&self, object: &O, mode: DryRun) -> Result<O, KubeError> {
        self.write(object, mode, |json| self.replace_json(O::RESOURCE, &object.metadata().reference, json, mode))
    }

    /// Replaces the status of an object and nothing else of it. Returns the object as stored.
    ///
    /// # Errors
    /// When the status was not replaced.
    pub fn replace_status<O: Object>(&self, object: &O) -> Result<O, KubeError> {
        let mode = DryRun::Real;
        let path = format!("{}/status{}", O::RESOURCE.path_of(&object.metadata().reference), mode.query());
        self.write(object, mode, |json| self.call(Method::Put, &path, Some(json)))
    }

    fn write<O: Object>(
        &self,
        object: &O,
        mode: DryRun,
        send: impl FnOnce(&Value) -> Result<Value, KubeError>,
    ) -> Result<O, KubeError> {
        let mut json = object.to_json();
        let stored = send(&json);
        wipe(&mut json);
        let mut stored = stored?;
        match mode {
            DryRun::Real => O::from_json(stored).map_err(KubeError::Object),
            DryRun::DryRun => {
                wipe(&mut stored);
                Ok(object.clone())
            }
        }
    }

    /// Reads an object of any kind, as [`KubeClient::get`] does.
    ///
    /// # Errors
    /// When the object could not be read.
    pub fn get_json(&self, resource: Resource, at: &ObjectRef) -> Result<Option<Value>, KubeError> {
        match self.call(Method::Get, &resource.path_of(at), None) {
            Ok(object) => Ok(Some(object)),
            Err(KubeError::Api(e)) if e.code == 404 && e.reason == "NotFound" => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Creates an object of any kind; the namespace of a cluster-scoped one is empty. Returns it as the server answers.
    ///
    /// # Errors
    /// When the object was not created.
    pub fn create_json(
        &self,
        resource: Resource,
        namespace: &str,
        object: &Value,
        mode: DryRun,
    ) -> Result<Value, KubeError> {
        self.call(Method::Post, &format!("{}{}", resource.path(namespace), mode.query()), Some(object))
    }

    /// Replaces an object of any kind. Returns it as the server answers.
    ///
    /// # Errors
    /// When the object was not replaced.
    pub fn replace_json(
        &self,
        resource: Resource,
        at: &ObjectRef,
        object: &Value,
        mode: DryRun,
    ) -> Result<Value, KubeError> {
        self.call(Method::Put, &format!("{}{}", resource.path_of(at), mode.query()), Some(object))
    }
}
