//! Certificates for Ingresses, Gateways and Services, end to end: a real API server, name server and CA.

mod gateway;
mod ingress;
mod lifecycle;
mod merging;
mod ownership;
mod permission;
mod tenancy;
