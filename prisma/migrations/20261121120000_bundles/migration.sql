-- AlterTable
ALTER TABLE "requests" ADD COLUMN     "bundle_index" INTEGER,
ADD COLUMN     "bundle_lead" TEXT;

-- A script may say the same twice: its parts are told apart by their lead.
DROP INDEX "requests_one_pending_per_fingerprint";

-- CreateIndex
CREATE UNIQUE INDEX "requests_one_pending_per_fingerprint" ON "requests"("owner_key", "fingerprint") WHERE (state = 'pending' AND bundle_lead IS NULL);

-- CreateIndex
CREATE INDEX "requests_bundle_lead_idx" ON "requests"("bundle_lead");
