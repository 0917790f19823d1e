package store

// Migrations are the tables' history, for tests of upgrades.
var Migrations = migrations
