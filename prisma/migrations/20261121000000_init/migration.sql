-- CreateEnum
CREATE TYPE "RequestState" AS ENUM ('pending', 'granted', 'executing', 'executed', 'failed', 'unknown', 'denied', 'expired', 'withdrawn', 'lapsed');

-- CreateEnum
CREATE TYPE "Effect" AS ENUM ('approve', 'deny');

-- CreateEnum
CREATE TYPE "Surface" AS ENUM ('slack', 'console', 'cli', 'api');

-- CreateEnum
CREATE TYPE "AccessKind" AS ENUM ('link', 'session', 'token');

-- CreateTable
CREATE TABLE "requests" (
    "id" TEXT NOT NULL,
    "version" INTEGER NOT NULL DEFAULT 1,
    "state" "RequestState" NOT NULL DEFAULT 'pending',
    "fingerprint" TEXT NOT NULL,
    "owner_key" TEXT NOT NULL,
    "owner_id" TEXT,
    "credential_id" TEXT NOT NULL,
    "session_id" TEXT NOT NULL,
    "requester" JSONB NOT NULL,
    "target" JSONB NOT NULL,
    "statement" JSONB NOT NULL,
    "rules" TEXT[],
    "reason" TEXT NOT NULL,
    "terms" JSONB NOT NULL,
    "waiter_live" BOOLEAN NOT NULL DEFAULT false,
    "holder" TEXT,
    "claim" TEXT,
    "outcome" JSONB,
    "note" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "grant_expires_at" TIMESTAMPTZ(3),
    "ended_at" TIMESTAMPTZ(3),

    CONSTRAINT "requests_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "decisions" (
    "request_id" TEXT NOT NULL,
    "approver_key" TEXT NOT NULL,
    "approver_id" TEXT NOT NULL,
    "approver_name" TEXT NOT NULL,
    "surface" "Surface" NOT NULL,
    "effect" "Effect" NOT NULL,
    "reason" TEXT,
    "at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "decisions_pkey" PRIMARY KEY ("request_id","approver_key")
);

-- CreateTable
CREATE TABLE "outbox" (
    "request_id" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "queued_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "outbox_pkey" PRIMARY KEY ("request_id","version")
);

-- CreateTable
CREATE TABLE "cards" (
    "request_id" TEXT NOT NULL,
    "channel" TEXT NOT NULL,
    "ts" TEXT,
    "version" INTEGER NOT NULL DEFAULT 0,
    "posting_since" TIMESTAMPTZ(3),
    "thread_posted" BOOLEAN NOT NULL DEFAULT false,
    "outcome_posted" BOOLEAN NOT NULL DEFAULT false,

    CONSTRAINT "cards_pkey" PRIMARY KEY ("request_id")
);

-- CreateTable
CREATE TABLE "desks" (
    "id" TEXT NOT NULL,
    "beat_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "desks_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "credentials" (
    "id" TEXT NOT NULL,
    "owner_id" TEXT,
    "owner_name" TEXT,
    "owner_email" TEXT,
    "agent" TEXT,
    "groups" TEXT[],
    "minted_by" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "revoked_at" TIMESTAMPTZ(3),
    "iterations" INTEGER NOT NULL,
    "salt" TEXT NOT NULL,
    "stored_key" TEXT NOT NULL,
    "server_key" TEXT NOT NULL,

    CONSTRAINT "credentials_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "accesses" (
    "secret_hash" TEXT NOT NULL,
    "kind" "AccessKind" NOT NULL,
    "approver_id" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "used_at" TIMESTAMPTZ(3),
    "revoked_at" TIMESTAMPTZ(3),

    CONSTRAINT "accesses_pkey" PRIMARY KEY ("secret_hash")
);

-- CreateTable
CREATE TABLE "sessions" (
    "id" TEXT NOT NULL,
    "owner_id" TEXT,
    "owner_name" TEXT,
    "owner_email" TEXT,
    "agent" TEXT,
    "subject" TEXT NOT NULL,
    "credential_id" TEXT NOT NULL,
    "target" TEXT NOT NULL,
    "environment" TEXT NOT NULL,
    "database" TEXT NOT NULL,
    "role" TEXT NOT NULL,
    "client_address" TEXT NOT NULL,
    "application_name" TEXT,
    "started_at" TIMESTAMPTZ(3) NOT NULL,
    "ended_at" TIMESTAMPTZ(3),
    "ended_why" TEXT,
    "statements" INTEGER NOT NULL DEFAULT 0,
    "held" INTEGER NOT NULL DEFAULT 0,
    "denied" INTEGER NOT NULL DEFAULT 0,
    "errors" INTEGER NOT NULL DEFAULT 0,
    "rows" BIGINT NOT NULL DEFAULT 0,
    "head" TEXT,

    CONSTRAINT "sessions_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "meta" (
    "name" TEXT NOT NULL,
    "value" TEXT NOT NULL,

    CONSTRAINT "meta_pkey" PRIMARY KEY ("name")
);

-- CreateIndex
CREATE INDEX "requests_owner_key_fingerprint_state_idx" ON "requests"("owner_key", "fingerprint", "state");

-- CreateIndex
CREATE INDEX "requests_state_expires_at_idx" ON "requests"("state", "expires_at");

-- CreateIndex
CREATE INDEX "requests_session_id_idx" ON "requests"("session_id");

-- CreateIndex
CREATE INDEX "requests_credential_id_idx" ON "requests"("credential_id");

-- CreateIndex
CREATE INDEX "requests_owner_id_created_at_idx" ON "requests"("owner_id", "created_at" DESC);

-- CreateIndex
CREATE INDEX "requests_created_at_idx" ON "requests"("created_at" DESC);

-- CreateIndex
CREATE UNIQUE INDEX "requests_one_pending_per_fingerprint" ON "requests"("owner_key", "fingerprint") WHERE (state = 'pending');

-- CreateIndex
CREATE INDEX "outbox_queued_at_idx" ON "outbox"("queued_at");

-- CreateIndex
CREATE INDEX "credentials_revoked_at_idx" ON "credentials"("revoked_at");

-- CreateIndex
CREATE INDEX "sessions_started_at_idx" ON "sessions"("started_at" DESC);

-- CreateIndex
CREATE INDEX "sessions_owner_id_started_at_idx" ON "sessions"("owner_id", "started_at" DESC);

-- CreateIndex
CREATE INDEX "sessions_target_started_at_idx" ON "sessions"("target", "started_at" DESC);

-- AddForeignKey
ALTER TABLE "decisions" ADD CONSTRAINT "decisions_request_id_fkey" FOREIGN KEY ("request_id") REFERENCES "requests"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "outbox" ADD CONSTRAINT "outbox_request_id_fkey" FOREIGN KEY ("request_id") REFERENCES "requests"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "cards" ADD CONSTRAINT "cards_request_id_fkey" FOREIGN KEY ("request_id") REFERENCES "requests"("id") ON DELETE CASCADE ON UPDATE CASCADE;

