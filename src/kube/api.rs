//! The operations on objects: get, list, create, replace, delete. Every write carries the version it was decided on.
//!
//! The operations take and return types that implement [`Object`].

use serde_json::{Value, json};

use super::client::{KubeClient, KubeError};
use super::list::ListPage;
use super::metadata::{InvalidObject, Object, wipe};
use super::object::Preconditions;
use super::resource::{Resource, WatchTarget};
use crate::base::limits::{API_REQUEST, PAGE_OBJECTS, PAGE_OCTETS_MAX};
use crate::base::name::ObjectRef;
use crate::http::Method;

/// The effect of a write: carried out, or only checked by the API server.
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
        self.list_json(target, &mut |item| each(O::from_json(item)))
    }

    /// Reads objects of any kind, as [`KubeClient::list`] does.
    ///
    /// # Errors
    /// When the list could not be read to its end.
    pub fn list_json(&self, target: &WatchTarget, each: &mut dyn FnMut(Value)) -> Result<(), KubeError> {
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
            items.into_iter().for_each(&mut *each);
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
        self.write(Method::Post, &O::RESOURCE.path(&object.metadata().reference.namespace), object, mode)
    }

    /// Replaces an object, which carries the version that it is to replace. Returns it as [`KubeClient::create`] does.
    ///
    /// # Errors
    /// When the object was not replaced.
    pub fn replace<O: Object>(&self, object: &O, mode: DryRun) -> Result<O, KubeError> {
        self.write(Method::Put, &O::RESOURCE.path_of(&object.metadata().reference), object, mode)
    }

    /// Replaces the status of an object and nothing else of it. Returns the object as stored.
    ///
    /// # Errors
    /// When the status was not replaced.
    pub fn replace_status<O: Object>(&self, object: &O) -> Result<O, KubeError> {
        let path = format!("{}/status", O::RESOURCE.path_of(&object.metadata().reference));
        self.write(Method::Put, &path, object, DryRun::Real)
    }

    /// Deletes an object in the version that it was read in. An object that is gone counts as deleted.
    ///
    /// # Errors
    /// When the object was not deleted: a conflict where it changed, or where another one has its name.
    pub fn delete(&self, resource: Resource, at: &ObjectRef, version: &Preconditions) -> Result<(), KubeError> {
        let preconditions = json!({"uid": version.uid, "resourceVersion": version.resource_version});
        let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions});
        match self.call(Method::Delete, &resource.path_of(at), Some(&options)) {
            Ok(mut deleted) => {
                wipe(&mut deleted);
                Ok(())
            }
            Err(KubeError::Api(e)) if e.code == 404 && e.reason == "NotFound" => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Replaces the status of an object of any kind, over this version of the object with this uid. Returns the object as stored.
    ///
    /// # Errors
    /// When the status was not replaced.
    pub fn put_status(
        &self,
        resource: Resource,
        at: &ObjectRef,
        (uid, version): (&str, &str),
        status: &Value,
    ) -> Result<Value, KubeError> {
        let metadata = match resource.namespaced {
            true => json!({"namespace": at.namespace, "name": at.name, "uid": uid, "resourceVersion": version}),
            false => json!({"name": at.name, "uid": uid, "resourceVersion": version}),
        };
        let (api_version, kind) = (resource.api_version(), resource.kind);
        let object = json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "status": status});
        let path = format!("{}/status{}", resource.path_of(at), DryRun::Real.query());
        self.call(Method::Put, &path, Some(&object))
    }

    /// Asks whether the status of a kind can be replaced alone: its definition may lack that subresource.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn has_status(&self, resource: Resource) -> Result<bool, KubeError> {
        let served = self.call(Method::Get, &resource.group_path(), None)?;
        let name = format!("{}/status", resource.plural);
        let all = served.get("resources").and_then(Value::as_array);
        Ok(all.is_some_and(|all| all.iter().any(|served| served.get("name").and_then(Value::as_str) == Some(&*name))))
    }

    fn write<O: Object>(&self, method: Method, path: &str, object: &O, mode: DryRun) -> Result<O, KubeError> {
        let mut json = object.to_json();
        let stored = self.call(method, &format!("{path}{}", mode.query()), Some(&json));
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

    /// Tells whether the server has kinds of an API group. Discovery is open to every account.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn serves_group(&self, group: &str) -> Result<bool, KubeError> {
        match self.call(Method::Get, &format!("/apis/{group}"), None) {
            Ok(_) => Ok(true),
            Err(KubeError::Api(e)) if e.code == 404 => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Sends a review, of a cluster-scoped kind that the server answers and does not store. Returns the review with its status.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn review(&self, resource: Resource, spec: &Value) -> Result<Value, KubeError> {
        let review = json!({"apiVersion": resource.api_version(), "kind": resource.kind, "spec": spec});
        self.call(Method::Post, &resource.path(""), Some(&review))
    }
}
