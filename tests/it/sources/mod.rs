//! Certificates for Ingresses, Gateways and Services, end to end: a real API server, name server and CA.

mod budget;
mod everything;
mod gateway;
mod ingress;
mod kinds;
mod lifecycle;
mod merging;
mod ownership;
mod permission;
mod routes;
mod seeds;
mod tenancy;
