from services.billing.app import run

run()
